// A place in a GPU's queue of work. By libtorch's generic event, so that it compiles where there is no CUDA.

#include "shim.h"

#include <memory>

#include <c10/core/Event.h>

extern "C" {

char* pavlov_event_record(int index, c10::Event** out) {
  return guarded([&] {
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
