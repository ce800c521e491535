// libtorch's generator, and messages.

#include "shim.h"

#include <ATen/Context.h>

// The default generator of CUDA device `index`, or the CPU's below 0.
static at::Generator default_generator(int index) {
  const auto device =
      index < 0 ? c10::Device(c10::kCPU) : c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
  return at::globalContext().defaultGenerator(device);
}

extern "C" {

void pavlov_free_message(char* message) { free(message); }

char* pavlov_generator_state(int index, Handle* out) {
  return guarded([&] {
    auto generator = default_generator(index);
    std::lock_guard<std::mutex> lock(generator.mutex());
    *out = new at::Tensor(generator.get_state());
  });
}

char* pavlov_set_generator_state(int index, Handle state) {
  return guarded([&] {
    auto generator = default_generator(index);
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(*state);
  });
}

// Random numbers of shape `sizes` from a generator of their own that starts from `seed`: 1 with chance `p`
// and 0 else, or with `normal` standard normal ones. The default generator is left as it is.
char* pavlov_random(Handle* out, const int64_t* sizes, int dims, int index, bool normal, double p,
                    uint64_t seed) {
  return guarded([&] {
    auto generator = default_generator(index).clone();
    generator.set_current_seed(seed);
    const auto device =
        index < 0 ? c10::Device(c10::kCPU) : c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
    at::Tensor numbers =
        at::empty(at::IntArrayRef(sizes, dims), at::TensorOptions(at::kFloat).device(device));
    if (normal) numbers.normal_(0.0, 1.0, generator);
    else numbers.bernoulli_(p, generator);
    *out = new at::Tensor(std::move(numbers));
  });
}

// A copy in memory from which a GPU fetches numbers by itself. tch's call names the device, of which libtorch
// warns.
char* pavlov_pinned(Handle tensor, Handle* out) {
  return guarded([&] { *out = new at::Tensor(tensor->pin_memory()); });
}

}  // extern "C"
