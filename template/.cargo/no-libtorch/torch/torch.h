// Found only where libtorch is missing: .cargo/config.toml names this folder as the compiler's last place to look.
#if __has_include_next(<torch/torch.h>)
#include_next <torch/torch.h>
#else
#include "libtorch is missing. Run `make setup` in your project, or set LIBTORCH to the absolute path of a libtorch 2.11.0"
#endif
