// The C library's habits with freed memory, and the end of the process.

#include <unistd.h>

#if defined(__GLIBC__) || __has_include(<malloc.h>)
#include <malloc.h>
#endif

// Tensors of a training come and go with every update, in the same sizes. Returned to the system each time,
// their pages would be cleared anew for each use: a tenth of an update of a convolutional network.
extern "C" void pavlov_keep_memory() {
#if defined(M_TRIM_THRESHOLD) && defined(M_MMAP_THRESHOLD) && defined(M_TOP_PAD)
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 16 << 20);
#endif
}

// Ends the process at once: no destructor runs beside threads that still use what it would destroy.
extern "C" [[noreturn]] void pavlov_leave(int code) { _exit(code); }
