#pragma once

#include <pthread.h>

/// Holds a mutex until the end of the scope. Nothing may raise in the scope, because MicroPython
/// raises by longjmp.
class Locked {
  public:
    explicit Locked(pthread_mutex_t& mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
    ~Locked() { pthread_mutex_unlock(&mutex_); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

  private:
    pthread_mutex_t& mutex_;
};
