// Sums between two processes by libtorch's own Gloo back end: what `group/examples/sum_latency.rs` stands beside.
//
//   apt-get install libgloo-dev        # the wheel of PyTorch lacks Gloo's headers
//   L=$(readlink -f .libtorch)
//   g++ -O2 -std=c++17 benches/references/gloo.cpp -I$L/include -I$L/include/torch/csrc/api/include -L$L/lib \
//       -ltorch_cpu -lc10 -Wl,-rpath,$L/lib -o target/gloo
//   target/gloo 1 29511 & target/gloo 0 29511

#define USE_C10D_GLOO 1
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int count, char** words) {
  if (count != 3) {
    std::fprintf(stderr, "give the rank, 0 or 1, and a free port\n");
    return 2;
  }
  const int rank = std::atoi(words[1]);
  at::set_num_threads(1);
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(std::atoi(words[2]));
  options.isServer = rank == 0;
  options.numWorkers = 2;
  auto store = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  auto gloo = c10d::ProcessGroupGloo::Options::create();
  gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
  gloo->threads = 1;
  auto group = c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, 2, gloo);
  for (const int numbers : {1, 1'000, 10'000, 67'000, 1'700'000}) {
    constexpr int kRounds = 300;
    std::vector<double> milliseconds;
    std::vector<at::Tensor> tensors{torch::ones({numbers})};
    for (int round = 0; round < kRounds; ++round) {
      const auto begun = std::chrono::steady_clock::now();
      group->allreduce(tensors, c10d::AllreduceOptions())->wait();
      milliseconds.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count());
    }
    std::sort(milliseconds.begin(), milliseconds.end());
    if (rank == 0) {
      std::printf("%9d floats: median %.3f ms, 90th percentile %.3f ms\n", numbers, milliseconds[kRounds / 2],
                  milliseconds[kRounds * 9 / 10]);
    }
  }
}
