// Bytes of pictures as the numbers that networks take.

#include "shim.h"
#include "team.h"
#include "vectorised.h"

namespace {

VECTORISED void divide(const uint8_t* bytes, int64_t count, float largest, float* out) {
  INDEPENDENT
  for (int64_t c = 0; c < count; ++c) out[c] = static_cast<float>(bytes[c]) / largest;
}

// True for a matrix on the CPU whose rows are not interrupted.
bool whole_rows(const at::Tensor& matrix) {
  return matrix.device().is_cpu() && matrix.dim() == 2 && (matrix.size(1) < 2 || matrix.stride(1) == 1);
}

}  // namespace

extern "C" char* pavlov_divide_bytes(Handle bytes, float largest, Handle out) {
  return guarded([&] {
    TORCH_CHECK(bytes->scalar_type() == at::kByte && out->scalar_type() == at::kFloat,
                "bytes become numbers of 32 bits");
    TORCH_CHECK(bytes->sizes() == out->sizes(), "there is room for ", out->sizes(), ", not for ", bytes->sizes());
    if (!whole_rows(*bytes) || !whole_rows(*out)) {
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
  });
}
