// A place in a GPU's queue of work. By libtorch's generic event, so that it compiles where there is no CUDA.

#include "shim.h"

#include <limits>
#include <memory>

#include <c10/core/Event.h>

extern "C" {

char* pavlov_event_record(int index, c10::Event** out) {
  return guarded([&] {
    TORCH_CHECK(index >= 0 && index <= std::numeric_limits<c10::DeviceIndex>::max(),
                "there is no GPU of number ", index);
    const c10::Device device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index));
    const c10::impl::VirtualGuardImpl guard(device.type());
    auto event = std::make_unique<c10::Event>(device.type());
    event->record(guard.getStream(device));
    *out = event.release();
  });
}

char* pavlov_event_wait(const c10::Event* event) {
  return guarded([&] { event->synchronize(); });
}

void pavlov_event_free(c10::Event* event) { delete event; }

}  // extern "C"
