// libtorch's generator, and messages.

#include <cstring>
#include <limits>

#include "checked.h"

#include <ATen/Context.h>

// A generator on the CPU is saved as this (CPUGeneratorImpl.cpp).
struct SavedTwister {
  uint64_t seed;
  int32_t left, seeded;
  uint64_t next;
  uint64_t numbers[624];
};

// libtorch checks each of the twister's counters by itself; together they must not lead beyond its numbers.
static void check_state(const at::Tensor& state) {
  if (!state.device().is_cpu() || state.scalar_type() != at::kByte || !state.is_contiguous() ||
      state.nbytes() < sizeof(SavedTwister))
    return;
  SavedTwister saved;
  std::memcpy(&saved, state.const_data_ptr(), sizeof(saved));
  TORCH_CHECK(saved.left >= 1 && saved.left <= 624 && saved.next <= 625 - static_cast<uint64_t>(saved.left),
              "the bytes are no state of a generator");
}

// The default generator of CUDA device `index`, or the CPU's below 0.
static at::Generator default_generator(int index) {
  TORCH_CHECK(index <= std::numeric_limits<c10::DeviceIndex>::max(), "there is no device of number ", index);
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
    TORCH_CHECK(state->defined() && pavlov::is_held(*state, state->numel()),
                "the bytes are no state of a generator");
    if (index < 0) check_state(*state);
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
