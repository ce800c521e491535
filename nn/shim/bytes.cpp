// Bytes of pictures as the numbers that networks take.

#include <c10/core/GradMode.h>

#include "checked.h"
#include "team.h"
#include "vectorised.h"

namespace {

VECTORISED void divide(const uint8_t* bytes, int64_t count, float largest, float* out) {
  INDEPENDENT
  for (int64_t c = 0; c < count; ++c) out[c] = static_cast<float>(bytes[c]) / largest;
}

// True for a matrix on the CPU whose rows are not interrupted.
bool whole_rows(const at::Tensor& matrix, at::ScalarType type) {
  if (!pavlov::is_ordinary(matrix, type) || matrix.dim() != 2) return false;
  const int64_t rows = matrix.size(0), width = matrix.size(1);
  const int64_t span = matrix.numel() == 0 ? 0 : (rows - 1) * matrix.stride(0) + width;
  return (width < 2 || matrix.stride(1) == 1) && pavlov::is_held(matrix, span);
}

// True if no row lies in another, so that parts may write them at once.
bool are_apart(const at::Tensor& matrix) { return matrix.size(0) < 2 || matrix.stride(0) >= matrix.size(1); }

}  // namespace

extern "C" char* pavlov_divide_bytes(Handle bytes, float largest, Handle out) {
  return guarded([&] {
    TORCH_CHECK(bytes->defined() && out->defined(), "there are no bytes, or no room for the numbers");
    TORCH_CHECK(!out->requires_grad() || !c10::GradMode::is_enabled(), "the numbers' tensor has a gradient");
    TORCH_CHECK(bytes->scalar_type() == at::kByte && out->scalar_type() == at::kFloat,
                "bytes become numbers of 32 bits");
    TORCH_CHECK(bytes->sizes() == out->sizes(), "there is room for ", out->sizes(), ", not for ", bytes->sizes());
    if (!whole_rows(*bytes, at::kByte) || !whole_rows(*out, at::kFloat) || !are_apart(*out)) {
      at::div_out(*out, *bytes, at::scalar_tensor(largest, out->options().device(at::kCPU)));
      return;
    }
    const int64_t rows = out->size(0), width = out->size(1);
    const int64_t from_stride = bytes->stride(0), to_stride = out->stride(0);
    const uint8_t* from = bytes->const_data_ptr<uint8_t>();
    float* to = out->mutable_data_ptr<float>();
    auto part = [&, parts = pavlov::pieces_of(rows * width)](int index) {
      const auto range = pavlov::part_of(rows, index, parts);
      for (int64_t row = range.begin; row < range.begin + range.count; ++row)
        divide(from + row * from_stride, width, largest, to + row * to_stride);
    };
    pavlov::share(pavlov::pieces_of(rows * width), part);
    out->unsafeGetTensorImpl()->bump_version();
  });
}
