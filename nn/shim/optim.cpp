// Optimiser steps and gradient clipping over a flat arena: own loops for f32 in ordinary memory, ATen's
// operations everywhere else. Neither path copies a number between host and device.

#include "checked.h"

#include <cmath>
#include <vector>

#include <c10/core/GradMode.h>

#include "optim_kernels.h"

namespace {

using at::Tensor;

// PyTorch adds this to a norm before it divides by it.
constexpr double kNormEps = 1e-6;

// True if the own loops run; `portable` asks for ATen's operations in any case.
bool takes_loops(const Tensor& tensor, bool portable) { return tensor.device().is_cpu() && !portable; }

void check_like(const Tensor& tensor, const Tensor& values) {
  TORCH_CHECK(tensor.defined() && values.defined(), "an arena holds contiguous f32 numbers");
  TORCH_CHECK(tensor.numel() == values.numel() && tensor.device() == values.device(),
              "values, gradients and moments must have one length and one device");
  TORCH_CHECK(tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided && tensor.is_contiguous(),
              "an arena holds contiguous f32 numbers");
  TORCH_CHECK(!tensor.device().is_cpu() || pavlov::is_plain(tensor),
              "an arena's memory is smaller than it is");
}

// The loops of a step read and write several arrays side by side.
void check_apart(const std::initializer_list<Handle>& arrays) {
  for (const Handle* one = arrays.begin(); one != arrays.end(); ++one)
    for (const Handle* other = arrays.begin(); other != one; ++other) {
      if (!*one || !*other || !(*one)->device().is_cpu()) continue;
      const char *first = static_cast<const char*>((*one)->const_data_ptr()),
                 *second = static_cast<const char*>((*other)->const_data_ptr());
      const int64_t length = (*one)->numel() * static_cast<int64_t>(sizeof(float));
      TORCH_CHECK(length == 0 || first + length <= second || second + length <= first,
                  "values, gradients and moments must not share memory");
    }
}

// A moment's numbers in a part, or null where there is none.
float* numbers(Handle moment, const Tensor& values, Part part) {
  if (!moment) return nullptr;
  check_like(*moment, values);
  return moment->data_ptr<float>() + part.from;
}

pavlov::Arena arena(Handle values, Handle gradients, Part part) {
  check_like(*values, *values);
  check_like(*gradients, *values);
  TORCH_CHECK(part.from >= 0 && part.count >= 0 && part.count <= values->numel() - part.from,
              "a step goes over a part of the arena");
  return {part.count, values->data_ptr<float>() + part.from, gradients->const_data_ptr<float>() + part.from};
}

// A part as a tensor in the same memory, for ATen's operations; undefined where there is none.
Tensor cut(Handle flat, Part part) {
  if (!flat) return {};
  return part.count == flat->numel() ? *flat : flat->narrow(0, part.from, part.count);
}

// Autograd's check that what it saved was not overwritten sees our writes like any other.
void wrote(Handle tensor) { tensor->unsafeGetTensorImpl()->bump_version(); }

// The gradients with the decay that goes through them; a new tensor only where there is such decay.
Tensor with_decay(const Tensor& gradients, const Tensor& values, const Decay& decay) {
  Tensor sum = gradients;
  if (decay.l2 != 0.0) sum = at::add(sum, values, decay.l2);
  if (decay.l1 != 0.0) sum = at::add(sum, at::sign(values), decay.l1);
  return sum;
}

void shrink(const Tensor& values, const Decay& decay, double learning_rate) {
  if (decay.decoupled != 0.0) values.add_(values, -learning_rate * decay.decoupled);
}

void adam_portable(const AdamNumbers& n, Tensor values, const Tensor& gradients, Tensor first, Tensor second) {
  const Tensor step = at::full({}, static_cast<double>(n.step), values.options());
  at::_fused_adamw_({values}, {with_decay(gradients, values, n.decay)}, {first}, {second}, {}, {step},
                    n.learning_rate, n.beta1, n.beta2, n.decay.decoupled, n.eps, false, false);
}

void rmsprop_portable(const RmspropNumbers& n, Tensor values, const Tensor& gradients, Tensor square, Tensor average,
                      Tensor buffer) {
  const Tensor gradient = with_decay(gradients, values, n.decay);
  shrink(values, n.decay, n.learning_rate);
  square.mul_(n.alpha).addcmul_(gradient, gradient, 1.0 - n.alpha);
  Tensor root;
  if (average.defined()) {
    average.lerp_(gradient, 1.0 - n.alpha);
    root = at::addcmul(square, average, average, -1.0).clamp_min_(0.0);
  } else {
    root = square.clone();
  }
  if (n.eps_inside_root) root.add_(n.eps).sqrt_();
  else root.sqrt_().add_(n.eps);
  if (!buffer.defined()) {
    values.addcdiv_(gradient, root, -n.learning_rate);
    return;
  }
  buffer.mul_(n.momentum).addcdiv_(gradient, root);
  values.add_(buffer, -n.learning_rate);
}

void sgd_portable(const SgdNumbers& n, Tensor values, const Tensor& gradients, const Tensor& buffer) {
  const Tensor gradient = with_decay(gradients, values, n.decay);
  shrink(values, n.decay, n.learning_rate);
  std::vector<Tensor> buffers;
  if (buffer.defined()) buffers.push_back(buffer);
  at::_fused_sgd_({values}, {gradient}, buffers, 0.0, n.momentum, n.learning_rate, n.dampening, n.nesterov, false,
                  n.first_step);
}

}  // namespace

extern "C" {

char* pavlov_adam_step(const AdamNumbers* n, Handle values, Handle gradients, Part part, Handle first, Handle second,
                       bool portable) {
  return guarded([&] {
    const c10::NoGradGuard guard;
    const auto flat = arena(values, gradients, part);
    float* first_moment = numbers(first, *values, part);
    float* second_moment = numbers(second, *values, part);
    check_apart({values, gradients, first, second});
    if (!takes_loops(*values, portable)) {
      return adam_portable(*n, cut(values, part), cut(gradients, part), cut(first, part), cut(second, part));
    }
    pavlov::adam(*n, flat, first_moment, second_moment);
    wrote(values);
  });
}

// `average` is null unless centred, `buffer` is null without momentum.
char* pavlov_rmsprop_step(const RmspropNumbers* n, Handle values, Handle gradients, Part part, Handle square,
                          Handle average, Handle buffer, bool portable) {
  return guarded([&] {
    const c10::NoGradGuard guard;
    const auto flat = arena(values, gradients, part);
    float* square_average = numbers(square, *values, part);
    float* gradient_average = numbers(average, *values, part);
    float* momentum = numbers(buffer, *values, part);
    check_apart({values, gradients, square, average, buffer});
    if (!takes_loops(*values, portable)) {
      return rmsprop_portable(*n, cut(values, part), cut(gradients, part), cut(square, part), cut(average, part),
                              cut(buffer, part));
    }
    pavlov::rmsprop(*n, flat, square_average, gradient_average, momentum);
    wrote(values);
  });
}

// `buffer` is null without momentum.
char* pavlov_sgd_step(const SgdNumbers* n, Handle values, Handle gradients, Part part, Handle buffer, bool portable) {
  return guarded([&] {
    const c10::NoGradGuard guard;
    const auto flat = arena(values, gradients, part);
    float* momentum = numbers(buffer, *values, part);
    check_apart({values, gradients, buffer});
    if (!takes_loops(*values, portable)) {
      return sgd_portable(*n, cut(values, part), cut(gradients, part), cut(buffer, part));
    }
    pavlov::sgd(*n, flat, momentum);
    wrote(values);
  });
}

// `out` = the norm of the gradients before they are scaled down to `largest`, which may be infinite.
char* pavlov_clip_norm(Handle* out, Handle gradients, double largest, bool portable) {
  return guarded([&] {
    const c10::NoGradGuard guard;
    check_like(*gradients, *gradients);
    if (!takes_loops(*gradients, portable)) {
      const Tensor norm = at::linalg_vector_norm(*gradients, 2.0);
      if (std::isfinite(largest)) gradients->mul_(norm.add(kNormEps).reciprocal_().mul_(largest).clamp_max_(1.0));
      *out = new Tensor(norm);
      return;
    }
    const double norm = std::sqrt(pavlov::sum_of_squares(gradients->numel(), gradients->const_data_ptr<float>()));
    const double factor = largest / (norm + kNormEps);
    // Written so that a NaN goes on into every gradient, as in PyTorch, and does not pass for a small norm.
    if (std::isfinite(largest) && !(factor >= 1.0)) {
      pavlov::scale(gradients->numel(), gradients->data_ptr<float>(), static_cast<float>(factor));
      wrote(gradients);
    }
    Tensor result = at::empty({}, gradients->options());
    *result.data_ptr<float>() = static_cast<float>(norm);
    *out = new Tensor(std::move(result));
  });
}

char* pavlov_zero(Handle flat) {
  return guarded([&] {
    const c10::NoGradGuard guard;
    check_like(*flat, *flat);
    if (!flat->device().is_cpu()) {
      flat->zero_();
      return;
    }
    pavlov::zero(flat->numel(), flat->data_ptr<float>());
    wrote(flat);
  });
}

// Bounds every gradient to [-largest, largest].
char* pavlov_clip_value(Handle gradients, double largest, bool portable) {
  return guarded([&] {
    const c10::NoGradGuard guard;
    check_like(*gradients, *gradients);
    if (!takes_loops(*gradients, portable)) {
      gradients->clamp_(-largest, largest);
      return;
    }
    pavlov::clamp(gradients->numel(), gradients->data_ptr<float>(), static_cast<float>(largest));
    wrote(gradients);
  });
}

}  // extern "C"
