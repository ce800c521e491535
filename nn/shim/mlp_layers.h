// The layers of fused multi-layer perceptrons and the two ways through them: over plain memory on the CPU
// (dense.h), and by ATen's operations everywhere else and for the activations that the former does not know.
// Each way goes through several networks of one shape side by side.
#pragma once

#include <vector>

#include "dense.h"
#include "node.h"

namespace pavlov {

struct MlpLayer {
  const Parameter* weight;           // [out, in]
  const Parameter* bias;             // [out]
  const Parameter* scale = nullptr;  // [out], of a layer norm before the activation; null without one
  const Parameter* shift = nullptr;  // [out], likewise
  at::Tensor mask;  // [batch, out], which the output is multiplied by; undefined without dropout
  Activation activation;
  bool bf16;
  // Kept by a recorded forward pass.
  at::Tensor input;       // [batch, in]
  at::Tensor saved;       // [batch, out], what the activation's derivative is computed from
  at::Tensor normalised;  // [batch, out], behind the layer norm's division; by ATen before it
  at::Tensor mean;        // [batch, 1], of the layer norm, by ATen
  at::Tensor factors;     // [batch] or [batch, 1], what the layer norm divided rows by, inverted

  bool has_norm() const { return scale != nullptr; }
};

using MlpLayers = std::vector<MlpLayer>;

// A factor in the type that products are computed in, and their result in f32 again.
inline at::Tensor in_kind(bool bf16, const at::Tensor& factor) {
  return bf16 ? factor.to(at::kBFloat16) : factor;
}
inline at::Tensor widened(bool bf16, const at::Tensor& product) {
  return bf16 ? product.to(at::kFloat) : product;
}

// Fails unless the layers of each network fit one another and the input, and the networks have one shape.
void check_shapes(const std::vector<MlpLayers>& networks, const at::Tensor& x);

// True if the pass over plain memory can take these layers and this input.
bool takes_dense(const MlpLayers& layers, const at::Tensor& x);

// True if the activation's derivative is computed from its output; otherwise from its input, or from nothing.
bool reads_output(Activation activation);

// Each network's output for `x` [batch, in], [networks, batch, out].
at::Tensor forward_dense(std::vector<MlpLayers>& networks, const at::Tensor& x, bool recorded);
at::Tensor forward_aten(std::vector<MlpLayers>& networks, const at::Tensor& x);

// The sum of the networks' gradients of the input, if it is wanted, from those of the outputs, [networks,
// batch, out].
at::Tensor backward_dense(const std::vector<MlpLayers>& networks, const at::Tensor& gradient, Wanted wanted);
at::Tensor backward_aten(const std::vector<MlpLayers>& networks, const at::Tensor& gradient, Wanted wanted);

// The activation by an operation that autograd records.
at::Tensor activated(const at::Tensor& z, Activation activation);

}  // namespace pavlov
