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

struct Tanh {
  // A rational function of degree 13 over 6, within a few units in the last place of tanh up to where that is
  // 1.
  static INLINED float of(float z) {
    constexpr float kLargest = 7.90531110763549805f;
    const float x = z > kLargest ? kLargest : z < -kLargest ? -kLargest : z;
    const float s = x * x;
    float p = -2.76076847742355e-16f;
    p = p * s + 2.00018790482477e-13f;
    p = p * s + -8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    float q = 1.19825839466702e-06f;
    q = q * s + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    return x * p / q;
  }
  static INLINED float slope(float y) { return 1.0f - y * y; }
};

struct Sigmoid {
  static INLINED float of(float z) { return 0.5f * Tanh::of(0.5f * z) + 0.5f; }
  static INLINED float slope(float y) { return y * (1.0f - y); }
};

}  // namespace pavlov
