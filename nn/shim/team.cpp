#include "team.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "blas.h"

namespace pavlov {
namespace {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// About a tenth of a millisecond: longer than the rest of an update between two of its products.
constexpr int kSpins = 5000;
constexpr int kLargestTeam = 64;

// True if this thread is at a part of a job: what that part would share, it does alone.
thread_local bool at_work = false;

// One job at a time: the ticket holds its number and how many parts it has. A thread takes a part by writing
// the job's number into the part's claim, which succeeds for one thread alone, and for none that is late: the
// claims of a job that is over bear its number already. A new job does not begin before each part of the last
// one is done.
class Team {
 public:
  void resize(int threads) {
    const std::lock_guard<std::mutex> guard(caller_);
    const int wanted = threads < 1 ? 1 : threads > kLargestTeam ? kLargestTeam : threads;
    try {
      for (; started_ < wanted; ++started_) std::thread([this, rank = started_] { work(rank); }).detach();
    } catch (const std::exception&) {
      // The system starts no more threads: the team stays as large as it is, and the numbers are the same.
    }
    size_.store(wanted < started_ ? wanted : started_, std::memory_order_relaxed);
  }

  void run(int parts, void (*task)(void*, int), void* context) {
    const auto alone = [&] {
      for (int part = 0; part < parts; ++part) task(context, part);
    };
    // One part is no job: what it shares in turn becomes one.
    if (parts <= 1 || at_work || size_.load(std::memory_order_relaxed) <= 1) return alone();
    // A second caller at the same moment does its work alone.
    std::unique_lock<std::mutex> guard(caller_, std::try_to_lock);
    if (!guard.owns_lock()) return alone();
    for (int first = 0; first < parts; first += kLargestJob) {
      run_job(first, parts - first < kLargestJob ? parts - first : kLargestJob, task, context);
    }
  }

 private:
  // Runs so many parts from `first` on; throws what one of them threw.
  void run_job(int first, int parts, void (*task)(void*, int), void* context) {
    first_ = first;
    task_ = task;
    context_ = context;
    done_.store(0, std::memory_order_relaxed);
    const uint64_t job = (ticket_.load(std::memory_order_relaxed) >> kPartBits) + 1;
    const uint64_t ticket = job << kPartBits | static_cast<uint64_t>(parts);
    ticket_.store(ticket, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      const std::lock_guard<std::mutex> asleep(sleep_);
      wake_.notify_all();
    }
    take(ticket, 0);
    // Whoever holds the last parts may have lost its processor: then it is better to give ours away than to
    // spin.
    for (int spins = 0; done_.load(std::memory_order_acquire) < parts; ++spins) {
      if (spins < kSpins) pause();
      else std::this_thread::yield();
    }
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  // Runs one part. An exception waits for the job's end: other parts still use what the caller would destroy.
  void run_part(int part) {
    at_work = true;
    try {
      task_(context_, first_ + part);
    } catch (...) {
      const std::lock_guard<std::mutex> guard(failing_);
      if (!failure_) failure_ = std::current_exception();
    }
    at_work = false;
  }

  // Takes as many parts of this job as it gets, beginning with the share of the thread of this rank.
  void take(uint64_t ticket, int rank) {
    const int parts = static_cast<int>(ticket & kPartMask);
    const int first = parts * rank / size_.load(std::memory_order_relaxed);
    for (int i = 0; i < parts; ++i) {
      const int part = (first + i) % parts;
      uint64_t claim = claims_[part].load(std::memory_order_relaxed);
      const uint64_t job = ticket >> kPartBits;
      if (claim >= job || !claims_[part].compare_exchange_strong(claim, job, std::memory_order_acq_rel)) continue;
      run_part(part);
      done_.fetch_add(1, std::memory_order_release);
    }
  }

  // A ticket that this thread has not seen and may work on, or what it has seen.
  uint64_t look(uint64_t seen, int rank) const {
    const uint64_t ticket = ticket_.load(std::memory_order_seq_cst);
    return rank < size_.load(std::memory_order_relaxed) ? ticket : seen;
  }

  void work(int rank) {
    use_one_blas_thread();
    uint64_t seen = 0;
    for (;;) {
      for (int spins = 0; spins < kSpins; ++spins) {
        const uint64_t ticket = look(seen, rank);
        if (ticket != seen) {
          take(seen = ticket, rank);
          spins = 0;
        }
        pause();
      }
      std::unique_lock<std::mutex> asleep(sleep_);
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      wake_.wait(asleep, [&] { return look(seen, rank) != seen; });
      sleepers_.fetch_sub(1, std::memory_order_seq_cst);
    }
  }

  static constexpr int kPartBits = 8;
  static constexpr uint64_t kPartMask = (1 << kPartBits) - 1;

  std::mutex caller_;
  std::atomic<int> size_{1};
  int started_ = 1;
  int first_ = 0;
  void (*task_)(void*, int) = nullptr;
  void* context_ = nullptr;
  std::atomic<uint64_t> claims_[kLargestJob] = {};
  // Each on a cache line of its own: all threads watch the ticket.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int> done_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::mutex failing_;
  std::exception_ptr failure_;
  std::mutex sleep_;
  std::condition_variable wake_;
};

// Never destroyed: its threads live as long as the process.
Team& team() {
  static Team* const the_team = new Team();
  return *the_team;
}

}  // namespace

void set_team_size(int threads) { team().resize(threads); }

void share(int parts, void (*task)(void*, int), void* context) { team().run(parts, task, context); }

}  // namespace pavlov

extern "C" void pavlov_set_team_size(int threads) { pavlov::set_team_size(threads); }
