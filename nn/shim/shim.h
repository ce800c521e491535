// The C face of what tch does not offer of libtorch. Every function returns nullptr, or an error message that
// the caller frees with `pavlov_free_message`. A `Handle` is the `at::Tensor*` that tch calls `C_tensor`.
#pragma once

#include <cstdint>
#include <cstring>
#include <exception>
#include <string>

#include <ATen/ATen.h>

using Handle = at::Tensor*;

// A message that outlives the exception; c10 errors carry a C++ backtrace that is of no use to the user.
inline char* copy_message(const char* what) {
  const std::string text(what);
  const auto end = text.find("\nException raised from");
  return strdup(text.substr(0, end).c_str());
}

// Runs `body`; an exception becomes the message that the C function returns.
template <typename Body>
char* guarded(Body&& body) {
  try {
    body();
    return nullptr;
  } catch (const c10::Error& error) {
    return copy_message(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return copy_message(error.what());
  } catch (...) {
    return copy_message("an unknown C++ exception");
  }
}
