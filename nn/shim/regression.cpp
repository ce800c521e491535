// Regression of one chosen column of each row, with its gradient: one pass over plain memory on the CPU,
// ATen's operations elsewhere.

#include "checked.h"

#include <cmath>

#include <c10/core/GradMode.h>

namespace {

using at::Tensor;

// The numbers by which Rust names the losses (losses.rs).
enum class Loss : int { kHuber, kSquared };

struct Outcome {
  Tensor loss;      // []
  Tensor gradient;  // [batch, columns], of the loss
  Tensor errors;    // [batch]
};

Outcome by_loop(const Tensor& predictions, const Tensor& choices, const Tensor& targets, const Tensor* weights,
                Loss kind) {
  const int64_t batch = predictions.size(0), columns = predictions.size(1);
  Outcome out{at::empty({}, predictions.options()), at::zeros({batch, columns}, predictions.options()),
              at::empty({batch}, predictions.options())};
  const float* values = predictions.const_data_ptr<float>();
  const float* aims = targets.const_data_ptr<float>();
  const float* shares = weights ? weights->const_data_ptr<float>() : nullptr;
  const int64_t* chosen = choices.const_data_ptr<int64_t>();
  float* gradient = out.gradient.data_ptr<float>();
  float* errors = out.errors.data_ptr<float>();
  const float per_row = 1.0f / static_cast<float>(batch);
  double sum = 0.0;
  for (int64_t row = 0; row < batch; ++row) {
    const int64_t column = chosen[row];
    TORCH_CHECK(column >= 0 && column < columns, "column ", column, " was chosen, and there are ", columns);
    const float error = values[row * columns + column] - aims[row];
    const float weight = shares ? shares[row] : 1.0f;
    const float size = std::fabs(error);
    // NaN takes the second way and stays NaN.
    const bool linear = kind == Loss::kHuber && size > 1.0f;
    const float half_square = 0.5f * error * error;
    const float loss = linear ? size - 0.5f : kind == Loss::kHuber ? half_square : 2.0f * half_square;
    const float slope = linear ? std::copysign(1.0f, error) : kind == Loss::kHuber ? error : 2.0f * error;
    errors[row] = error;
    gradient[row * columns + column] = weight * slope * per_row;
    sum += static_cast<double>(weight * loss);
  }
  *out.loss.data_ptr<float>() = static_cast<float>(sum / static_cast<double>(batch));
  return out;
}

Outcome by_operations(const Tensor& predictions, const Tensor& choices, const Tensor& targets, const Tensor* weights,
                      Loss kind) {
  const Tensor columns = choices.reshape({-1, 1});
  const Tensor errors = predictions.gather(1, columns).squeeze(1).sub_(targets.reshape({-1}));
  Tensor slopes, losses;
  if (kind == Loss::kHuber) {
    slopes = errors.clamp(-1.0, 1.0);
    // e^2 / 2 within 1, |e| - 1/2 beyond: both are s (e - s / 2) of the slope s.
    losses = slopes * (errors - slopes * 0.5);
  } else {
    slopes = errors * 2.0;
    losses = errors.square();
  }
  if (weights) {
    slopes = slopes * weights->reshape({-1});
    losses = losses * weights->reshape({-1});
  }
  const double per_row = 1.0 / static_cast<double>(predictions.size(0));
  const Tensor gradient = at::zeros_like(predictions).scatter_(1, columns, slopes.mul_(per_row).unsqueeze(1));
  return {losses.mean(), gradient, errors};
}

}  // namespace

extern "C" {

// `weights` is null where every row counts the same; `portable` asks for ATen's operations in any case.
char* pavlov_regress_columns(Handle* loss, Handle* gradient, Handle* errors, Handle predictions, Handle choices,
                             Handle targets, Handle weights, int kind, bool portable) {
  return guarded([&] {
    const c10::NoGradGuard guard;
    TORCH_CHECK(predictions->defined() && choices->defined() && targets->defined() &&
                    (!weights || weights->defined()),
                "predictions, choices, targets or weights are an undefined tensor");
    const Tensor values = predictions->detach();
    TORCH_CHECK(values.dim() == 2 && values.size(0) > 0, "predictions must be [batch, columns] with a row or more");
    const int64_t batch = values.size(0);
    TORCH_CHECK(choices->numel() == batch && targets->numel() == batch && (!weights || weights->numel() == batch),
                "choices, targets and weights must have one number for each of the ", batch, " rows");
    const bool loops = !portable && pavlov::is_plain(values) && pavlov::is_plain(*choices, at::kLong) &&
                       pavlov::is_plain(*targets) && (!weights || pavlov::is_plain(*weights));
    const Loss which = static_cast<Loss>(kind);
    Outcome out = loops ? by_loop(values, *choices, *targets, weights, which)
                        : by_operations(values, *choices, *targets, weights, which);
    *loss = new Tensor(std::move(out.loss));
    *gradient = new Tensor(std::move(out.gradient));
    *errors = new Tensor(std::move(out.errors));
  });
}

}  // extern "C"
