#include "guarded.h"

#include <csetjmp>
#include <csignal>

#include <atomic>
#include <cstring>
#include <mutex>

namespace rw {
namespace {

thread_local sigjmp_buf way_out;
thread_local volatile std::sig_atomic_t copying = 0;
struct sigaction before {};

void on_fault(int number, siginfo_t* info, void* context) {
  if (copying != 0) {
    copying = 0;
    siglongjmp(way_out, 1);
  }
  if ((before.sa_flags & SA_SIGINFO) != 0) return before.sa_sigaction(number, info, context);
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(number);
  sigaction(number, &before, nullptr);  // the access is made again, and ends the process as ever
}

void install() {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  // The signal mask is not restored by the jump, so the signal must not be in it.
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigaction(SIGBUS, &action, &before);
}

}  // namespace

bool guarded_copy(void* to, const void* from, std::size_t length) {
  static std::once_flag installed;
  std::call_once(installed, install);
  if (sigsetjmp(way_out, 0) != 0) return false;
  copying = 1;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memcpy(to, from, length);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  copying = 0;
  return true;
}

}  // namespace rw
