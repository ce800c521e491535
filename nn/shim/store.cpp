// The keys and values by which processes find one another: libtorch's own store, which torchrun's agents serve.

#include "shim.h"

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// A libtorch that was built without c10d lacks the header.
#if __has_include(<torch/csrc/distributed/c10d/TCPStore.hpp>)
#define PAVLOV_HAS_C10D 1
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

namespace pavlov {

#ifdef PAVLOV_HAS_C10D
using Store = c10::intrusive_ptr<c10d::TCPStore>;
// Failures come back as errors; c10d would write pages of its own beside it.
class Quiet {
 public:
  Quiet() : level_(FLAGS_caffe2_log_level) { FLAGS_caffe2_log_level = static_cast<int>(c10::GLOG_FATAL); }
  ~Quiet() { FLAGS_caffe2_log_level = level_; }

 private:
  int level_;
};
#else
struct Store {};
#endif

}  // namespace pavlov

extern "C" {

// A client of the store at `host` and `port`; with `serve` the server itself, of which port 0 takes a free one.
char* pavlov_store_open(const char* host, uint16_t port, bool serve, int64_t milliseconds, pavlov::Store** out,
                        uint16_t* port_out) {
  return guarded([&] {
#ifdef PAVLOV_HAS_C10D
    const pavlov::Quiet quiet;
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serve;
    options.waitWorkers = false;
    options.timeout = std::chrono::milliseconds(milliseconds);
    auto store = c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
    *port_out = store->getPort();
    *out = new pavlov::Store(std::move(store));
#else
    (void)host, (void)port, (void)serve, (void)milliseconds, (void)out, (void)port_out;
    TORCH_CHECK(false, "this libtorch was built without c10d, by which processes find one another: use that of "
                       "PyTorch's wheel, which `make setup` brings");
#endif
  });
}

void pavlov_store_free(pavlov::Store* store) { delete store; }

char* pavlov_store_set(pavlov::Store* store, const char* key, const uint8_t* bytes, size_t count) {
  return guarded([&] {
#ifdef PAVLOV_HAS_C10D
    const pavlov::Quiet quiet;
    (*store)->set(key, std::vector<uint8_t>(bytes, bytes + count));
#endif
  });
}

char* pavlov_store_has(pavlov::Store* store, const char* key, bool* out) {
  return guarded([&] {
#ifdef PAVLOV_HAS_C10D
    const pavlov::Quiet quiet;
    *out = (*store)->check({key});
#endif
  });
}

// The value of a key that is there, in memory that the caller frees with `pavlov_store_free_value`.
char* pavlov_store_get(pavlov::Store* store, const char* key, uint8_t** out, size_t* count) {
  return guarded([&] {
#ifdef PAVLOV_HAS_C10D
    const pavlov::Quiet quiet;
    const auto value = (*store)->get(key);
    *out = static_cast<uint8_t*>(std::malloc(value.empty() ? 1 : value.size()));
    TORCH_CHECK(*out != nullptr, "out of memory");
    std::copy(value.begin(), value.end(), *out);
    *count = value.size();
#endif
  });
}

void pavlov_store_free_value(uint8_t* value) { std::free(value); }

char* pavlov_store_add(pavlov::Store* store, const char* key, int64_t amount, int64_t* out) {
  return guarded([&] {
#ifdef PAVLOV_HAS_C10D
    const pavlov::Quiet quiet;
    *out = (*store)->add(key, amount);
#endif
  });
}

}  // extern "C"
