// Loops that the compiler turns into the widest vectors of the processor at hand.
#pragma once

// One copy of the function per instruction set, chosen when the program is loaded. Compilers without this
// (and other architectures, where the base set already has vectors) compile it once; so does the thread
// sanitizer, which does not run yet when the choice is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__) && \
    !defined(__SANITIZE_THREAD__)
#if defined(PAVLOV_NO_AVX512)
#define VECTORISED __attribute__((target_clones("fma", "default")))
#else
#define VECTORISED __attribute__((target_clones("avx512f", "fma", "default")))
#endif
#else
#define VECTORISED
#endif

// Before a loop whose arrays do not overlap: with many of them the compiler would rather not vectorise than
// check.
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INDEPENDENT
#endif

// Part of every VECTORISED function that calls it, so that it is compiled for that one's instruction set.
#if defined(__GNUC__)
#define INLINED inline __attribute__((always_inline))
#else
#define INLINED inline
#endif
