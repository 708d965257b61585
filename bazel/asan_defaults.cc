// What LeakSanitizer is told in every test.
//
// It keeps the system's id of a thread that has ended, unless that was detached
// from the start. Once the system gives such an id away again, after some
// 30,000 threads, it does not know the thread that has it now, and takes what
// only that one refers to for leaked. Of a worker that is idle as the process
// ends, these are the records of its thread-local objects, which libc makes.

extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:__cxa_thread_atexit_impl\n";
}
