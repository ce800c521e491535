// Activation functions and their derivatives, to be compiled into VECTORISED loops.
#pragma once

#include "vectorised.h"

namespace pavlov {

constexpr float kLeakySlope = 0.01f;

// Comparisons are written so that NaN passes through: a network that has diverged must show it. The slope is
// that at the input whose output is y.

struct Identity {
  static INLINED float of(float z) { return z; }
  static INLINED float slope(float) { return 1.0f; }
};

struct Relu {
  static INLINED float of(float z) { return z < 0.0f ? 0.0f : z; }
  static INLINED float slope(float y) { return y <= 0.0f ? 0.0f : 1.0f; }
};

struct LeakyRelu {
  static INLINED float of(float z) { return z < 0.0f ? kLeakySlope * z : z; }
  static INLINED float slope(float y) { return y <= 0.0f ? kLeakySlope : 1.0f; }
};

// The operations that functions are written in, on one number; product_avx2.cpp and product_avx512.cpp have
// them for vectors. A product and a sum are rounded as one by name, so that every processor gives the same
// bits.
struct Scalar {
  using V = float;
  static INLINED V splat(float x) { return x; }
  static INLINED V multiply_add(V a, V b, V sum) { return __builtin_fmaf(a, b, sum); }
  static INLINED V clamp(V x, float limit) {
    const float size = __builtin_fabsf(x);
    return __builtin_copysignf(size > limit ? limit : size, x);
  }
};

struct Tanh {
  // A rational function of degree 13 over 6, within a few units in the last place of tanh up to where that is
  // 1.
  template <class Isa>
  static INLINED typename Isa::V through(typename Isa::V z) {
    const auto horner = [](auto sum, auto s, float next) { return Isa::multiply_add(sum, s, Isa::splat(next)); };
    const auto x = Isa::clamp(z, 7.90531110763549805f);
    const auto s = x * x;
    auto p = Isa::splat(-2.76076847742355e-16f);
    p = horner(p, s, 2.00018790482477e-13f);
    p = horner(p, s, -8.60467152213735e-11f);
    p = horner(p, s, 5.12229709037114e-08f);
    p = horner(p, s, 1.48572235717979e-05f);
    p = horner(p, s, 6.37261928875436e-04f);
    p = horner(p, s, 4.89352455891786e-03f);
    auto q = Isa::splat(1.19825839466702e-06f);
    q = horner(q, s, 1.18534705686654e-04f);
    q = horner(q, s, 2.26843463243900e-03f);
    q = horner(q, s, 4.89352518554385e-03f);
    return x * p / q;
  }
  static INLINED float of(float z) { return through<Scalar>(z); }
  static INLINED float slope(float y) { return 1.0f - y * y; }
};

struct Sigmoid {
  template <class Isa>
  static INLINED typename Isa::V through(typename Isa::V z) {
    const auto half = Isa::splat(0.5f);
    return Isa::multiply_add(half, Tanh::through<Isa>(half * z), half);
  }
  static INLINED float of(float z) { return through<Scalar>(z); }
  static INLINED float slope(float y) { return y * (1.0f - y); }
};

}  // namespace pavlov
