// Matrix products whose factors are rounded to bf16 and whose sums are f32: twice as fast as f32 where the
// processor multiplies pairs of such numbers itself.
#pragma once

#include <cstdint>

#include "product.h"

namespace pavlov {

// True if the processor has the instructions (AVX512-BF16).
bool has_bf16();

// As `product`, with factors rounded to the nearest bf16. Each number is summed in the order of k, pair by
// pair, whatever m is. Only where has_bf16.
void product_bf16(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Start start, const float* row, float* c,
                  int64_t stride, Finish finish = {});

}  // namespace pavlov
