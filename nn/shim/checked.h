// Checks of a tensor before its numbers are read or written through a pointer.
//
// A tensor that Rust holds can change its shape, its type and its memory at any time (`set_`, `resize_`): a
// clone is another handle of the same tensor. Every pass over plain memory therefore checks what it is about
// to touch, the backward pass once more, and an error takes the place of a read beyond the end.
#pragma once

#include <limits>

#include "shim.h"

namespace pavlov {

// True if the tensor's memory holds `span` numbers from its first one on.
inline bool is_held(const at::Tensor& tensor, int64_t span) {
  if (span == 0) return true;
  if (!tensor.has_storage()) return false;
  const c10::Storage& storage = tensor.storage();
  const auto needed = static_cast<uint64_t>(tensor.storage_offset() + span) * tensor.itemsize();
  return storage.data() != nullptr && storage.nbytes() >= needed;
}

// True for numbers of this type in ordinary memory, as they stand there.
inline bool is_ordinary(const at::Tensor& tensor, at::ScalarType type) {
  return tensor.defined() && tensor.layout() == at::kStrided && tensor.device().is_cpu() &&
         tensor.scalar_type() == type && !tensor.is_neg();
}

// True for such numbers that lie side by side.
inline bool is_plain(const at::Tensor& tensor, at::ScalarType type = at::kFloat) {
  return is_ordinary(tensor, type) && tensor.is_contiguous() && is_held(tensor, tensor.numel());
}

// Fails unless the tensor is plain f32 of these sizes.
inline void check_plain(const at::Tensor& tensor, at::IntArrayRef sizes, const char* what) {
  if (is_plain(tensor) && tensor.sizes() == sizes) return;
  TORCH_CHECK(tensor.defined(), what, " is an undefined tensor");
  TORCH_CHECK(false, what, " must be f32 ", sizes, " in ordinary memory, in one piece; it is ",
              tensor.toString(), " ", tensor.sizes());
}

// The tensor in one piece: itself where it is.
inline at::Tensor in_one_piece(const at::Tensor& tensor) {
  return tensor.is_neg() ? tensor.resolve_neg().contiguous() : tensor.contiguous();
}

// The most rows or columns that a BLAS counts.
constexpr int64_t kMostRows = std::numeric_limits<int>::max();

}  // namespace pavlov
