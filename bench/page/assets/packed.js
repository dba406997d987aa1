// The data of a page, packed inside it.

const ARROWS = { i2t: "I→T", t2i: "T→I", i2i: "I→I", t2t: "T→T" };

async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}
