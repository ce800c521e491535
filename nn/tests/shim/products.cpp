// Products, optimisers' steps, gathering, the team.

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "../../shim/dense.h"
#include "../../shim/optim_kernels.h"
#include "../../shim/product.h"
#include "../../shim/product_bf16.h"
#include "../../shim/team.h"
#include "support.h"

extern "C" void pavlov_gather(const uint8_t* const* rows, int64_t count, int64_t length, uint8_t* out);

namespace {

using pavlov::Matrix;
using pavlov::Range;
using pavlov::Start;

// The numbers of a matrix, its last row no longer than its numbers.
int64_t span(int64_t rows, int64_t columns, int64_t stride) {
  return rows == 0 ? 0 : (rows - 1) * stride + columns;
}

float at(const Matrix& matrix, int64_t row, int64_t column) {
  return matrix.transposed ? matrix.numbers[column * matrix.stride + row]
                           : matrix.numbers[row * matrix.stride + column];
}

template <typename Product>
void drive_product(Product multiply, int64_t m, int64_t n, int64_t k, bool turned_a, bool turned_b,
                   int64_t extra, Start start, bool exact) {
  const int64_t a_rows = turned_a ? k : m, a_columns = turned_a ? m : k;
  const int64_t b_rows = turned_b ? n : k, b_columns = turned_b ? k : n;
  Floats a(span(a_rows, a_columns, a_columns + extra)), b(span(b_rows, b_columns, b_columns + extra));
  Floats c(span(m, n, n + extra)), row(n);
  const Matrix left{a.data(), a_columns + extra, turned_a}, right{b.data(), b_columns + extra, turned_b};
  std::vector<float> before(c.data(), c.data() + c.count());
  std::vector<int> finished(m * n);
  auto finish = [&](Range rows, Range columns) {
    for (int64_t i = rows.begin; i < rows.begin + rows.count; ++i)
      for (int64_t j = columns.begin; j < columns.begin + columns.count; ++j) ++finished[i * n + j];
  };
  multiply(m, n, k, left, right, start, start == Start::kRow ? row.data() : nullptr, c.data(), n + extra,
           pavlov::finish_by(finish));
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = start == Start::kZero ? 0.0f : start == Start::kRow ? row[j] : before[i * (n + extra) + j];
      for (int64_t l = 0; l < k; ++l) sum += at(left, i, l) * at(right, l, j);
      const float own = c[i * (n + extra) + j];
      REQUIRE(!exact || close_to(own, sum), "[%d, %d] of %d x %d x %d is %g, not %g", int(i), int(j), int(m),
              int(n), int(k), own, sum);
      REQUIRE(finished[i * n + j] == 1, "[%d, %d] was finished %d times", int(i), int(j),
              finished[i * n + j]);
    }
}

template <typename Product>
void drive_each_product(Product multiply, bool exact) {
  for (int64_t m : {1, 2, 5, 6, 7, 13, 16, 33})
    for (int64_t n : {1, 2, 7, 8, 9, 15, 16, 17, 31, 40, 65})
      for (int64_t k : {1, 2, 8, 15, 17, 33, 70})
        for (int form = 0; form < 4; ++form)
          for (Start start : {Start::kZero, Start::kRow, Start::kItself})
            drive_product(multiply, m, n, k, form & 1, form & 2, (m + n + k) % 3, start, exact);
}

// Every kernel that the processor has, with columns that are a multiple of its width.
void drive_kernel(const pavlov::Kernel* kernel) {
  if (!kernel) return;
  for (int64_t count = 0; count < 70; ++count) {
    Floats numbers(count);
    kernel->tanh(numbers.data(), count);
    kernel->sigmoid(numbers.data(), count);
  }
  for (int64_t m = 1; m < 14; ++m)
    for (int64_t vectors : {1, 2, 3, 4, 5, 9})
      for (int64_t k : {1, 3, 4, 5, 17}) {
        const int64_t n = vectors * kernel->width;
        Floats a(m * k), b(k * n), c(m * n);
        pavlov::Job job{};
        job.m = m;
        job.n = n;
        job.k = k;
        job.a = a.data();
        job.a_row = k;
        job.a_k = 1;
        job.b = b.data();
        job.b_stride = n;
        job.c = c.data();
        job.stride = n;
        kernel->run(job);
        for (int64_t columns : {int64_t{1}, int64_t{2}, int64_t{3}, n}) {
          Floats rows(columns * k), sums(m * columns);
          job.n = columns;
          job.b = rows.data();
          job.b_stride = k;
          job.c = sums.data();
          job.stride = columns;
          kernel->dots(job);
        }
      }
}

void drive_gather() {
  for (int64_t count : {0, 1, 2, 3, 9, 200})
    for (int64_t length : {0, 1, 3, 63, 64, 65, 9001}) {
      std::vector<Exact<uint8_t>> from;
      for (int64_t i = 0; i < count; ++i) from.emplace_back(length);
      std::vector<const uint8_t*> rows;
      for (int64_t i = 0; i < count; ++i) rows.push_back(from[i * 7 % count].data());
      Exact<uint8_t> out(count * length);
      pavlov_gather(rows.data(), count, length, out.data());
      for (int64_t i = 0; i < count * length; ++i)
        REQUIRE(out[i] == rows[i / length][i % length], "row %d", int(i));
    }
}

void drive_sums() {
  for (int64_t width : {1, 3, 15, 16, 17, 63, 64, 65, 130})
    for (int64_t batch : {0, 1, 5}) {
      Floats rows(span(batch, width, width + 2)), sums(width);
      pavlov::add_column_sums(sums.data(), rows.data(), batch, width, width + 2);
    }
}

}  // namespace

void drive_products() {
  drive_kernel(pavlov::kernel_avx2());
  drive_kernel(pavlov::kernel_avx512());
  drive_each_product(pavlov::product, true);
  if (pavlov::has_bf16()) drive_each_product(pavlov::product_bf16, false);
  drive_gather();
  drive_sums();
}

void drive_optimisers() {
  for (int64_t count : {0, 1, 7, 31, 32, 33, 65, 40000, 70001})
    for (int form = 0; form < 8; ++form) {
      Floats values(count), gradients(count), first(count), second(count), third(count);
      for (int64_t i = 0; i < count; ++i) second[i] = std::fabs(second[i]);
      const Decay decay{form & 1 ? 0.1 : 0.0, form & 2 ? 0.1 : 0.0, form & 4 ? 0.1 : 0.0};
      const pavlov::Arena arena{count, values.data(), gradients.data()};
      pavlov::adam({1e-3, 0.9, 0.999, 1e-8, decay, 1}, arena, first.data(), second.data());
      pavlov::rmsprop({1e-3, 0.9, 1e-8, 0.9, decay, (form & 1) != 0}, arena, second.data(),
                      form & 2 ? first.data() : nullptr, form & 4 ? third.data() : nullptr);
      pavlov::sgd({1e-3, 0.9, 0.0, decay, (form & 2) != 0, (form & 4) != 0}, arena,
                  form & 1 ? third.data() : nullptr);
      REQUIRE(pavlov::sum_of_squares(count, gradients.data()) >= 0.0, "%d numbers", int(count));
      pavlov::scale(count, gradients.data(), 0.5f);
      pavlov::clamp(count, gradients.data(), 0.1f);
      pavlov::zero(count, gradients.data());
      for (int64_t i = 0; i < count; ++i) REQUIRE(gradients[i] == 0.0f, "%d", int(i));
    }
}

void drive_team() {
  const auto hold = [](int parts) {
    std::vector<std::atomic<int>> runs(parts);
    std::atomic<int> inner{0};
    auto part = [&](int index) {
      ++runs[index];
      auto nested = [&](int) { ++inner; };
      pavlov::share(3, nested);
    };
    pavlov::share(parts, part);
    for (int i = 0; i < parts; ++i)
      REQUIRE(runs[i] == 1, "part %d of %d ran %d times", i, parts, runs[i].load());
    REQUIRE(inner == 3 * parts, "%d nested parts of %d", inner.load(), 3 * parts);
  };
  const auto fail = [] {
    std::vector<int> done(40);
    auto part = [&](int index) {
      done[index] = 1;
      if (index % 13 == 5) throw std::runtime_error("as it should");
    };
    bool thrown = false;
    try {
      pavlov::share(40, part);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    REQUIRE(thrown, "an exception of a part was lost");
  };
  for (int threads : {1, 4, 2, 3}) {
    pavlov::set_team_size(threads);
    for (int round = 0; round < 50; ++round)
      for (int parts : {0, 1, 2, 3, 7, 63, 64, 65, 200}) hold(parts);
    fail();
    // Two callers, and a change of the size meanwhile.
    std::thread other([&] {
      for (int round = 0; round < 50; ++round) hold(9);
    });
    for (int round = 0; round < 50; ++round) hold(5);
    pavlov::set_team_size(3);
    other.join();
    fail();
    hold(5);
  }
}
