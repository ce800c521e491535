// Memory that Rust writes as a slice and libtorch reads as a tensor.

#include <torch/csrc/autograd/variable.h>

#include "checked.h"

extern "C" {

// `lent` = another tensor in the memory of `own`, which keeps its size from now on. Whatever is done to the
// one that is lent, `own` stays as it is; both count writes together.
char* pavlov_lend(Handle own, Handle* lent) {
  return guarded([&] {
    TORCH_CHECK(own->is_contiguous() && own->device().is_cpu() && pavlov::is_held(*own, own->numel()),
                "only ordinary memory in one piece is lent");
    own->storage().unsafeGetStorageImpl()->set_resizable(false);
    *lent = new at::Tensor(own->detach());
  });
}

// Counts a write that libtorch did not make: a backward pass that reads the numbers sees that they have
// changed.
void pavlov_wrote(Handle tensor) { tensor->unsafeGetTensorImpl()->bump_version(); }

}  // extern "C"
