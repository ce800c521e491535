#include "cells.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "blas.h"
#include "dense.h"
#include "functions.h"
#include "product.h"
#include "team.h"
#include "vectorised.h"

namespace pavlov {
namespace {

// Rows of a batch walk through time without waiting for each other. The cut depends on shapes alone, so that
// every number is the same however many threads there are.
int parts_of(const Sequence& s) {
  // Below this many products a part is over before another thread has noticed it.
  constexpr int64_t kWorthwhile = 1 << 20;
  constexpr int64_t kThinnest = 4;
  const int64_t products = s.steps * s.batch * s.size * s.gate_count() * s.size;
  return products < kWorthwhile || s.batch < 2 * kThinnest ? 1 : 2;
}

// One row's gates and states of one step.
struct Row {
  float* gates;
  const float* before;
  float* states;
  float* y;
};

VECTORISED void lstm_step(const Row& row, int64_t n) {
  float *i = row.gates, *f = i + n, *g = f + n, *o = g + n;
  const float* c_before = row.before + n;
  float *h = row.states, *c = h + n;
  INDEPENDENT
  for (int64_t k = 0; k < n; ++k) {
    i[k] = Sigmoid::of(i[k]);
    f[k] = Sigmoid::of(f[k]);
    g[k] = Tanh::of(g[k]);
    o[k] = Sigmoid::of(o[k]);
    c[k] = f[k] * c_before[k] + i[k] * g[k];
    h[k] = o[k] * Tanh::of(c[k]);
    row.y[k] = h[k];
  }
}

VECTORISED void gru_step(const Row& row, int64_t n) {
  float *r = row.gates, *z = r + n, *fresh = z + n;
  const float* from_state = fresh + n;
  INDEPENDENT
  for (int64_t k = 0; k < n; ++k) {
    r[k] = Sigmoid::of(r[k]);
    z[k] = Sigmoid::of(z[k]);
    fresh[k] = Tanh::of(fresh[k] + r[k] * from_state[k]);
    row.states[k] = fresh[k] + z[k] * (row.before[k] - fresh[k]);
    row.y[k] = row.states[k];
  }
}

// From the gradients of h and c after the step to those of the gates' inputs, and of c before it in place of
// that after.
VECTORISED void lstm_step_back(const Row& row, const float* by_h, float* by_c, int64_t n) {
  float *i = row.gates, *f = i + n, *g = f + n, *o = g + n;
  const float *c_before = row.before + n, *c = row.states + n;
  INDEPENDENT
  for (int64_t k = 0; k < n; ++k) {
    const float squashed = Tanh::of(c[k]);
    const float all = by_c[k] + by_h[k] * o[k] * Tanh::slope(squashed);
    const float by_i = all * g[k] * Sigmoid::slope(i[k]), by_f = all * c_before[k] * Sigmoid::slope(f[k]);
    const float by_g = all * i[k] * Tanh::slope(g[k]), by_o = by_h[k] * squashed * Sigmoid::slope(o[k]);
    by_c[k] = all * f[k];
    i[k] = by_i;
    f[k] = by_f;
    g[k] = by_g;
    o[k] = by_o;
  }
}

// The same; what of the gradient reaches the state before the step past the gates takes the place of `by_h`.
VECTORISED void gru_step_back(const Row& row, float* by_h, int64_t n) {
  float *r = row.gates, *z = r + n, *fresh = z + n, *from_state = fresh + n;
  INDEPENDENT
  for (int64_t k = 0; k < n; ++k) {
    const float by_fresh = by_h[k] * (1.0f - z[k]) * Tanh::slope(fresh[k]);
    const float by_z = by_h[k] * (row.before[k] - fresh[k]) * Sigmoid::slope(z[k]);
    const float by_r = by_fresh * from_state[k] * Sigmoid::slope(r[k]);
    by_h[k] *= z[k];
    from_state[k] = by_fresh * r[k];
    r[k] = by_r;
    z[k] = by_z;
    fresh[k] = by_fresh;
  }
}

// The beginning of each step: the state before it, or nothing where it starts anew.
void begin_step(const Sequence& s, int64_t step, Range rows) {
  const int64_t width = s.width();
  for (int64_t b = rows.begin; b < rows.begin + rows.count; ++b) {
    const int64_t at = step * s.batch + b;
    float* before = s.before + at * width;
    if (s.starts[at] != 0.0f) std::memset(before, 0, width * sizeof(float));
    else
      std::memcpy(before, step == 0 ? s.state + b * width : s.states + (at - s.batch) * width,
                  width * sizeof(float));
  }
}

void forward_rows(const Sequence& s, const float* weight_transposed, Range rows) {
  const int64_t n = s.size, width = s.width(), columns = s.gate_count() * n;
  for (int64_t step = 0; step < s.steps; ++step) {
    begin_step(s, step, rows);
    const int64_t first = step * s.batch + rows.begin;
    float* gates = s.gates + first * 4 * n;
    const float* before = s.before + first * width;
    if (s.cell == Cell::kLstm) {
      product(rows.count, 4 * n, n, {before, width}, {weight_transposed, columns}, Start::kItself, nullptr,
              gates, 4 * n);
    } else {
      product(rows.count, 2 * n, n, {before, width}, {weight_transposed, columns}, Start::kItself, nullptr,
              gates, 4 * n);
      product(rows.count, n, n, {before, width}, {weight_transposed + 2 * n, columns}, Start::kRow,
              s.bias_hh + 2 * n, gates + 3 * n, 4 * n);
    }
    for (int64_t at = first; at < first + rows.count; ++at) {
      const Row row{s.gates + at * 4 * n, s.before + at * width, s.states + at * width, s.y + at * n};
      if (s.cell == Cell::kLstm) lstm_step(row, n);
      else gru_step(row, n);
    }
  }
}

void backward_rows(const Sequence& s, const float* by_y, Range rows) {
  const int64_t n = s.size, width = s.width();
  std::vector<float> by_h(rows.count * n), by_c(s.cell == Cell::kLstm ? rows.count * n : 0);
  for (int64_t step = s.steps; step-- > 0;) {
    const int64_t first = step * s.batch + rows.begin;
    for (int64_t r = 0; r < rows.count; ++r) {
      const int64_t at = first + r;
      float* own = by_h.data() + r * n;
      for (int64_t k = 0; k < n; ++k) own[k] += by_y[at * n + k];
      const Row row{s.gates + at * 4 * n, s.before + at * width, s.states + at * width, nullptr};
      if (s.cell == Cell::kLstm) lstm_step_back(row, own, by_c.data() + r * n, n);
      else gru_step_back(row, own, n);
    }
    const float* gates = s.gates + first * 4 * n;
    if (s.cell == Cell::kLstm) {
      product(rows.count, n, 4 * n, {gates, 4 * n}, {s.weight_hh, n}, Start::kZero, nullptr, by_h.data(), n);
    } else {
      product(rows.count, n, 2 * n, {gates, 4 * n}, {s.weight_hh, n}, Start::kItself, nullptr, by_h.data(),
              n);
      product(rows.count, n, n, {gates + 3 * n, 4 * n}, {s.weight_hh + 2 * n * n, n}, Start::kItself, nullptr,
              by_h.data(), n);
    }
    // Nothing reaches over the start of an episode.
    for (int64_t r = 0; r < rows.count; ++r) {
      if (s.starts[first + r] == 0.0f) continue;
      std::fill_n(by_h.begin() + r * n, n, 0.0f);
      if (!by_c.empty()) std::fill_n(by_c.begin() + r * n, n, 0.0f);
    }
  }
}

// Adds to the gradients of some of the weight's rows and of the biases, from those of their gates, the
// columns of `factor`. Frozen ones are null.
void add_weight_gradients(const Sequence& s, float* weight, float* bias, const float* factor, Matrix inputs,
                          int64_t in, Range units) {
  const int64_t rows = s.steps * s.batch;
  if (units.count == 0) return;
  if (weight)
    product(units.count, in, rows, {factor + units.begin, 4 * s.size, true}, inputs, Start::kItself, nullptr,
            weight + units.begin * in, in);
  if (bias) add_column_sums(bias + units.begin, factor + units.begin, rows, units.count, 4 * s.size);
}

}  // namespace

void sequence_forward(const Sequence& s) {
  const OneBlasThread guard;
  const int64_t n = s.size, columns = s.gate_count() * n, rows = s.steps * s.batch;
  std::vector<float> weight_transposed(n * columns), bias(s.bias_ih, s.bias_ih + columns);
  for (int64_t u = 0; u < columns; ++u)
    for (int64_t k = 0; k < n; ++k) weight_transposed[k * columns + u] = s.weight_hh[u * n + k];
  // A GRU keeps apart what n takes from the state, its bias with it.
  for (int64_t u = 0; u < (s.cell == Cell::kLstm ? 4 : 2) * n; ++u) bias[u] += s.bias_hh[u];

  const int parts = parts_of(s);
  auto inputs = [&](int part) {
    const Range range = part_of(rows, part, parts);
    product(range.count, columns, s.in, {s.x + range.begin * s.in, s.in}, {s.weight_ih, s.in, true},
            Start::kRow, bias.data(), s.gates + range.begin * 4 * n, 4 * n);
  };
  share(parts, inputs);
  auto walk = [&](int part) { forward_rows(s, weight_transposed.data(), part_of(s.batch, part, parts)); };
  share(parts, walk);
}

void sequence_backward(const Sequence& s, const SequenceGradients& gradients) {
  const OneBlasThread guard;
  const int64_t n = s.size, columns = s.gate_count() * n, rows = s.steps * s.batch;
  const int parts = parts_of(s);
  auto walk = [&](int part) { backward_rows(s, gradients.y, part_of(s.batch, part, parts)); };
  share(parts, walk);
  auto gather = [&](int part) {
    const Matrix inputs{s.x, s.in}, states{s.before, s.width()};
    add_weight_gradients(s, gradients.weight_ih, gradients.bias_ih, s.gates, inputs, s.in,
                         part_of(columns, part, parts));
    // The part of a GRU's n that comes from the state has gradients of its own.
    const int64_t shared = s.cell == Cell::kLstm ? columns : 2 * n;
    add_weight_gradients(s, gradients.weight_hh, gradients.bias_hh, s.gates, states, n,
                         part_of(shared, part, parts));
    if (s.cell == Cell::kGru) {
      float* weight = gradients.weight_hh ? gradients.weight_hh + 2 * n * n : nullptr;
      float* bias = gradients.bias_hh ? gradients.bias_hh + 2 * n : nullptr;
      add_weight_gradients(s, weight, bias, s.gates + 3 * n, states, n, part_of(n, part, parts));
    }
    if (gradients.x) {
      const Range range = part_of(rows, part, parts);
      product(range.count, s.in, columns, {s.gates + range.begin * 4 * n, 4 * n}, {s.weight_ih, s.in},
              Start::kZero, nullptr, gradients.x + range.begin * s.in, s.in);
    }
  };
  share(parts, gather);
}

}  // namespace pavlov
