// The shapes of a recurrent layer's tensors, on every device.
#pragma once

#include "cells.h"
#include "checked.h"

namespace pavlov {

// weight_ih, weight_hh, bias_ih, bias_hh
constexpr int kRecurrentParameters = 4;

struct RecurrentShape {
  int64_t in, size;
  int64_t gates;  // gates times size
  int64_t width;  // of the state
};

// The shape of a layer whose parameters are `value(0)` to `value(3)`; fails where one does not fit the
// others.
template <typename Values>
RecurrentShape recurrent_shape(Cell cell, const Values& value) {
  const at::Tensor &weight_ih = value(0), &weight_hh = value(1);
  TORCH_CHECK(weight_ih.dim() == 2 && weight_hh.dim() == 2, "the weights of a recurrent layer are matrices");
  const bool is_lstm = cell == Cell::kLstm;
  const RecurrentShape shape{weight_ih.size(1), weight_hh.size(1), weight_hh.size(0),
                             (is_lstm ? 2 : 1) * weight_hh.size(1)};
  const bool fits = shape.in > 0 && shape.size > 0 && shape.size < kMostRows &&
                    shape.gates == (is_lstm ? 4 : 3) * shape.size && weight_ih.size(0) == shape.gates;
  TORCH_CHECK(fits, "the weights ", weight_ih.sizes(), " and ", weight_hh.sizes(), " are not those of ",
              is_lstm ? "an LSTM" : "a GRU");
  for (int bias : {2, 3})
    TORCH_CHECK(value(bias).dim() == 1 && value(bias).size(0) == shape.gates,
                "the bias of a recurrent layer with ", shape.gates, " gates is ", value(bias).sizes());
  return shape;
}

// Fails unless the inputs [steps, batch, in], starts [steps, batch] and the state [batch, width] fit the
// layer.
inline void check_sequence(const RecurrentShape& shape, const at::Tensor& x, const at::Tensor& starts,
                           const at::Tensor& state) {
  const bool fits = x.dim() == 3 && x.size(2) == shape.in && starts.dim() == 2 &&
                    starts.size(0) == x.size(0) && starts.size(1) == x.size(1) && state.dim() == 2 &&
                    state.size(0) == x.size(1) && state.size(1) == shape.width;
  TORCH_CHECK(fits, "a recurrent layer from ", shape.in, " to ", shape.size, " numbers got inputs ",
              x.sizes(), ", starts ", starts.sizes(), " and a state ", state.sizes());
}

}  // namespace pavlov
