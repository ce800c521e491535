// Counting of what makes the host wait for a device: libtorch's operations, as its dispatcher calls them, and
// copies that pass the dispatcher by. On the CPU, which has nothing to wait for, the same is counted.

#include "shim.h"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <ATen/record_function.h>
#include <c10/util/ThreadLocalDebugInfo.h>

namespace {

// The names of what was read, one a line. libtorch hands it on to the threads of a backward pass.
struct ReadNames : c10::DebugInfoBase {
  std::mutex lock;
  std::string lines;
};

constexpr auto kReadNames = c10::DebugInfoKind::TEST_INFO;

// Above 0 within an operation that is counted, whose parts are not, and where numbers of the CPU alone are
// read.
thread_local int uncounted = 0;

void note_read(std::string_view name) {
  auto* names = dynamic_cast<ReadNames*>(c10::ThreadLocalDebugInfo::get(kReadNames));
  if (!names || uncounted > 0) return;
  const std::lock_guard guard(names->lock);
  names->lines.append(name).push_back('\n');
}

// True of operations that wait for a GPU whose tensors they get: they give a number, or a tensor whose size
// depends on numbers. What asks for `item` (is_nonzero, allclose, repeat_interleave) is seen by that, and
// indexing by a mask by `nonzero`.
bool gives_what_depends_on_numbers(std::string_view name) {
  for (const char* reads : {"_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique", "_unique2",
                            "unique_dim", "unique_consecutive", "unique_dim_consecutive", "bincount", "mode"})
    if (name == reads) return true;
  return false;
}

// True of a move to a device, or from it, that the host waits for. On the CPU no move is needed, and each
// counts that names a device alone; one that names a type too is a backward pass's, back to the type that was
// converted.
bool is_waiting_move(std::string_view name, std::string_view overload,
                     c10::ArrayRef<const c10::IValue> inputs) {
  const auto is_off_cpu = [](const c10::Device& device) { return !device.is_cpu(); };
  const auto device_of = [&](size_t place) { return inputs[place].toTensor().device(); };
  if (name == "copy_" && inputs.size() >= 3)
    return is_off_cpu(device_of(0)) != is_off_cpu(device_of(1)) && !inputs[2].toBool();
  if (name != "to") return false;
  const auto waits = [&](const c10::Device& to, size_t non_blocking) {
    return !(is_off_cpu(to) && is_off_cpu(device_of(0))) && !inputs[non_blocking].toBool();
  };
  if (overload == "device" && inputs.size() >= 4) return waits(inputs[1].toDevice(), 3);
  if (overload == "dtype_layout" && inputs.size() >= 6) {
    if (!inputs[3].isDevice() || !waits(inputs[3].toDevice(), 5)) return false;
    return inputs[1].isNone() || is_off_cpu(inputs[3].toDevice()) || is_off_cpu(device_of(0));
  }
  return overload == "other" && inputs.size() >= 4 && waits(device_of(1), 3);
}

// An operation that is counted is under way.
struct WithinRead : at::ObserverContext {};

std::unique_ptr<at::ObserverContext> enter_operation(const at::RecordFunction& operation) {
  constexpr std::string_view space = "aten::";
  const std::string_view name = operation.name();
  if (uncounted > 0 || name.substr(0, space.size()) != space) return nullptr;
  const auto own = name.substr(space.size());
  if (!gives_what_depends_on_numbers(own) &&
      !is_waiting_move(own, operation.overload_name(), operation.inputs()))
    return nullptr;
  note_read(own);
  auto within = std::make_unique<WithinRead>();
  ++uncounted;
  return within;
}

void leave_operation(const at::RecordFunction&, at::ObserverContext* within) {
  if (within) --uncounted;
}

// A count under way, of this thread and of the backward passes that it starts.
class ReadCount {
 public:
  std::shared_ptr<ReadNames> names = std::make_shared<ReadNames>();

  ReadCount() = default;
  ReadCount(const ReadCount&) = delete;
  ReadCount& operator=(const ReadCount&) = delete;
  ~ReadCount() { at::removeCallback(callback_); }

 private:
  c10::DebugInfoGuard guard_{kReadNames, names};
  at::CallbackHandle callback_ =
      at::addThreadLocalCallback(at::RecordFunctionCallback(enter_operation, leave_operation)
                                     .needsInputs(true)
                                     .scopes({at::RecordScope::FUNCTION}));
};

}  // namespace

extern "C" {

char* pavlov_reads_begin(ReadCount** out) {
  return guarded([&] { *out = new ReadCount(); });
}

// `lines` becomes the names of what was read, each with an end of line, for `pavlov_free_message`.
char* pavlov_reads_so_far(const ReadCount* count, char** lines) {
  return guarded([&] {
    const std::lock_guard guard(count->names->lock);
    *lines = strdup(count->names->lines.c_str());
    TORCH_CHECK(*lines, "no memory for the names of what was read");
  });
}

void pavlov_reads_end(ReadCount* count) { delete count; }

// A copy that the dispatcher does not see.
void pavlov_reads_note(const char* name) { note_read(name); }

// The reads of this thread are left out from here on (1), or no longer (-1).
void pavlov_reads_leave_out(int step) { uncounted += step; }

}  // extern "C"
