"""`bench completion`: a script that lets bash or zsh complete commands, options and the names of plugins."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.cli.commands import Commands

_NAMES = {  # option → what `bench list` calls its values
    "--methods": "methods",
    "--datasets": "datasets",
    "--report": "reports",
    "--metric": "metrics",
}
_SCRIPT = """\
_bench() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" kind="" head=""
    case "$before" in
{kinds}
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$word"))
    elif [ -n "$kind" ]; then
        case "$word" in *,*) head="${{word%,*}}," ;; esac
        local names="$(bench list "$kind" 2>/dev/null | cut -d ' ' -f 1)"
        COMPREPLY=($(compgen -P "$head" -W "$names" -- "${{word##*,}}"))
    elif [ "${{word#-}}" != "$word" ]; then
        case "${{COMP_WORDS[1]}}" in
{options}
        esac
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}}
complete -o nospace -F _bench bench
"""
_ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n"


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    completion = commands.add_parser(
        "completion",
        parents=[common],
        help="print a script that completes names and options in bash or zsh",
        epilog="examples: bench completion bash >> ~/.bashrc; bench completion zsh >> ~/.zshrc",
    )
    completion.add_argument("shell", choices=["bash", "zsh"])
    completion.set_defaults(execute=lambda args: _completion(args, commands))


def _completion(args: argparse.Namespace, commands: Commands) -> int:
    known = commands.options()
    kinds = "\n".join(f"        {option}) kind={kind} ;;" for option, kind in _NAMES.items())
    kinds += "\n        info | check) kind=methods ;;"
    options = "\n".join(
        f'            {name}) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$word")) ;;'
        for name, words in known.items()
    )
    script = _SCRIPT.format(kinds=kinds, options=options, commands=" ".join(known))
    print((_ZSH if args.shell == "zsh" else "") + script, end="")
    return 0
