#include "io/library_lock.hpp"

#include <pthread.h>

#include <mutex>

namespace kiban::io {
namespace {

std::mutex mutex;

void lock() { mutex.lock(); }
void unlock() { mutex.unlock(); }

}  // namespace

LibraryLock::LibraryLock() {
  [[maybe_unused]] static const int registered = pthread_atfork(lock, unlock, unlock);
  lock();
}

LibraryLock::~LibraryLock() { unlock(); }

}  // namespace kiban::io
