// Recurrent cells in f32 on the CPU, over plain memory.
#pragma once

#include <cstdint>

namespace pavlov {

// The numbers by which Rust names the cells (recurrent.rs).
enum class Cell : int { kLstm, kGru };

// A sequence through one layer. Rows lie [steps, batch]. An LSTM's state is h then c, a GRU's is h. Gates are
// four rows of `size` numbers: i, f, g, o of an LSTM; r, z, n of a GRU and what its n takes from the state,
// before r scales it.
struct Sequence {
  Cell cell;
  int64_t steps, batch, in, size;
  const float* weight_ih;  // [gates size, in], 4 gates of an LSTM, 3 of a GRU
  const float* weight_hh;  // [gates size, size]
  const float* bias_ih;    // [gates size]
  const float* bias_hh;    // [gates size]
  const float* x;          // [steps, batch, in]
  const float* starts;     // [steps, batch], not 0 where the state is forgotten before the step
  const float* state;      // [batch, state width], before the first step
  float* gates;            // [steps, batch, 4 size]; the backward pass overwrites them by their gradients
  float* before;           // [steps, batch, state width], what each step begins with
  float* states;           // [steps, batch, state width], what it ends with
  float* y;                // [steps, batch, size]

  int64_t gate_count() const { return cell == Cell::kLstm ? 4 : 3; }
  int64_t width() const { return cell == Cell::kLstm ? 2 * size : size; }
};

// Where the gradients of a sequence are added to; null for frozen parameters. `x` is written, not added to,
// and may be null.
struct SequenceGradients {
  const float* y;  // [steps, batch, size], given
  float* weight_ih;
  float* weight_hh;
  float* bias_ih;
  float* bias_hh;
  float* x;  // [steps, batch, in]
};

void sequence_forward(const Sequence& sequence);
void sequence_backward(const Sequence& sequence, const SequenceGradients& gradients);

}  // namespace pavlov
