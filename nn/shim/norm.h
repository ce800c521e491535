// Layer norm (Ba et al. 2016) between a layer's product and its activation, over plain memory in f32.
#pragma once

#include <cstdint>

#include "dense.h"
#include "team.h"

namespace pavlov {

// Turns the products of some rows into the layer's output there: normalised over the row, scaled and shifted,
// through the activation. Where the layer keeps what the backward pass needs, the products stand in
// `normalised`, which is overwritten by the normalised rows; else they stand in `output`.
void norm_forward(const DenseLayer& layer, Range rows);

// From the gradient of the output of some rows to that of the products, in place. Adds the rows' part of the
// gradients of scale and shift to `sums`, 2 x `out` numbers.
void norm_backward(const DenseLayer& layer, Range rows, float* sums);

}  // namespace pavlov
