// Found only where libtorch is missing: .cargo/config.toml names this folder as the compiler's last place to
// look.
//
// torch-sys compiles against libtorch before any build script of this workspace can say what is missing, and
// its error, "torch/torch.h: No such file or directory", does not tell a newcomer what to do. This one does.
// It is an #include, since a compiler goes on after an #error, and thousands of lines would bury it.
#if __has_include_next(<torch/torch.h>)
#include_next <torch/torch.h>
#else
#include "libtorch is missing. Run `make setup` in Pavlov's checkout, or set LIBTORCH to the absolute path of a libtorch 2.11.0"
#endif
