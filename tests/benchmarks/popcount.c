/* The evaluation's loop by hand, for one word of code and one of labels: the limit that ours is compared with.

   Per query and block: distances and grades into keys (vectorised by the compiler), then counters in four
   tables, since one counter incremented twice in a row waits for itself. */
#include <stdint.h>
#include <string.h>

enum { BLOCK = 2048 };

void count(const uint64_t *query, const uint64_t *query_labels, int64_t queries,
           const uint64_t *codes, const uint64_t *labels, int64_t items, int64_t width, int64_t keys,
           uint32_t *tables /* (queries, 4, keys), zero */) {
    uint32_t key[BLOCK];
    for (int64_t start = 0; start < items; start += BLOCK) {
        int64_t size = items - start < BLOCK ? items - start : BLOCK;
        const uint64_t *c = codes + start, *l = labels + start;
        for (int64_t q = 0; q < queries; q++) {
            uint64_t code = query[q], mask = query_labels[q], most = width - 1;
            for (int64_t j = 0; j < size; j++) {
                uint64_t shared = __builtin_popcountll(mask & l[j]);
                key[j] = __builtin_popcountll(code ^ c[j]) * width + (shared < most ? shared : most);
            }
            uint32_t *t0 = tables + q * 4 * keys, *t1 = t0 + keys, *t2 = t1 + keys, *t3 = t2 + keys;
            int64_t j = 0;
            for (; j + 4 <= size; j += 4) {
                t0[key[j]]++;
                t1[key[j + 1]]++;
                t2[key[j + 2]]++;
                t3[key[j + 3]]++;
            }
            for (; j < size; j++) t0[key[j]]++;
        }
    }
}
