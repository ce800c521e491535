// Gradients' home and libtorch's generator.

#include "shim.h"

#include <ATen/CPUGeneratorImpl.h>

extern "C" {

void pavlov_free_message(char* message) { free(message); }

char* pavlov_set_gradient(Handle parameter, Handle gradient) {
  return guarded([&] {
    TORCH_CHECK(parameter->sizes() == gradient->sizes(), "a gradient must have its parameter's shape");
    parameter->mutable_grad() = *gradient;
  });
}

char* pavlov_generator_state(Handle* out) {
  return guarded([&] {
    auto generator = at::detail::getDefaultCPUGenerator();
    std::lock_guard<std::mutex> lock(generator.mutex());
    *out = new at::Tensor(generator.get_state());
  });
}

char* pavlov_set_generator_state(Handle state) {
  return guarded([&] {
    auto generator = at::detail::getDefaultCPUGenerator();
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(*state);
  });
}

}  // extern "C"
