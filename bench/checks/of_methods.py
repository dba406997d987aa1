"""The contract of a method: the checks that one with its capabilities must pass.

A check is a function that raises where the method does not meet its demand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.checks import conduct, controls, declared, gaps, learned, outputs
from bench.checks.trial import Trial
from bench.contract.method import Capabilities

_Check = Callable[[Trial], str | None]  # returns what a reader should know where the check passes
_Checks = Sequence[_Check]


def of(can: Capabilities) -> list[_Check]:
    """The checks for a method with these capabilities."""
    needed = (
        (True, _ALWAYS),
        (can.reference != "oracle", _BLIND),
        (can.reference != "real-valued", _BINARY),
        (can.distance != "hamming", _OWN_DISTANCE),
        (can.reference == "real-valued", _REAL),
        (not can.offline, _ONLINE),
        # An oracle may learn as much from shuffled labels: it is shown those of every item anyway.
        (can.supervised and not can.label_free and can.reference != "oracle", _SUPERVISED),
        (can.label_free, _LABEL_FREE),
        (can.partial, _PARTIAL),
        (can.learned_codes, _LEARNED),
        (can.pool, _POOL),
        (can.forgets, _FORGETFUL),
        (bool(can.views), _VIEWS),
    )
    return [check for applies, checks in needed if applies for check in checks]


_ALWAYS: _Checks = (
    declared.it_has_a_docstring_and_a_source,
    declared.parameters_are_typed_and_have_defaults,
    declared.capabilities_match_what_is_overridden,
    declared.its_distance_has_numbers_of_queries,
    conduct.equal_seeds_give_equal_codes,
    conduct.encode_changes_nothing,
    controls.an_items_code_depends_on_no_other_item,
    controls.it_remembers_no_rows,
    controls.later_labels_change_no_earlier_code,
    controls.rounding_decides_no_codes,
    conduct.fit_leaves_chunk_and_parameters_alone,
    learned.a_saved_state_gives_the_same_codes,
    gaps.few_rows_and_one_row_are_enough,
    gaps.constant_and_repeated_columns_are_safe,
    gaps.a_class_may_be_missing_from_a_chunk,
    conduct.it_prints_nothing,
    conduct.it_leaves_global_random_state_alone,
    conduct.another_cell_of_the_pass_on_the_same_chunk_changes_nothing,
)
_BLIND: _Checks = (controls.labels_of_queries_change_no_code,)
_BINARY: _Checks = (outputs.codes_are_signs_at_8_and_128_bits, outputs.outputs_have_the_signs_of_the_codes)
_OWN_DISTANCE: _Checks = (
    outputs.numbers_of_queries_are_finite_float32_at_8_and_128_bits,
    outputs.numbers_of_queries_stay_the_same,
    outputs.a_query_is_nearest_to_its_own_code,
)
_REAL: _Checks = (outputs.vectors_are_finite_float32_of_one_width,)
_ONLINE: _Checks = (learned.it_goes_on_from_a_saved_state, conduct.how_often_it_encodes_does_not_matter)
_SUPERVISED: _Checks = (learned.true_labels_teach_more_than_shuffled_ones,)
_LABEL_FREE: _Checks = (gaps.it_runs_where_some_or_no_items_have_labels,)
_PARTIAL: _Checks = (gaps.it_learns_from_items_that_lack_a_modality,)
_LEARNED: _Checks = (learned.learned_codes_cover_every_chunk, learned.learned_codes_survive_saving)
_POOL: _Checks = (gaps.it_runs_with_and_without_a_pool,)
_FORGETFUL: _Checks = (learned.it_goes_on_after_it_forgot_everything,)
_VIEWS: _Checks = (gaps.it_runs_where_plain_features_stand_in_for_a_view,)
