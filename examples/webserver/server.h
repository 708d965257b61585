// An HTTP server that ends with a context: cpp-httplib's, with its connections
// as tasks of a group.

#ifndef WEBSERVER_SERVER_H_
#define WEBSERVER_SERVER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "httplib.h"

namespace webserver {

struct Options {
  // For messages.
  std::string name = "server";
  // Connections that are served at once. Others wait, and cost no thread.
  int connections = 64;
  // How long the requests that have begun may take once the server is to end.
  absl::Duration drain = absl::Seconds(5);
};

struct Stats {
  int64_t in_flight = 0;
  int64_t answered = 0;
  int64_t late = 0;  // of those answered: after Options::drain was over
};

class Server {
 public:
  // Answers a request: returns soon when `context` is done, which is when the
  // time to drain is over.
  using Handler =
      std::function<void(const cohort::Context& context,
                         const httplib::Request&, httplib::Response&)>;

  explicit Server(Options options);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Before Serve.
  void Get(const std::string& path, Handler handler);
  void Post(const std::string& path, Handler handler);

  // Takes a port, any that is free if it is 0, and returns it. Clients can
  // connect from then on, and wait for Serve.
  absl::StatusOr<int> Listen(int port);

  // Serves until `context` is done or Stop is called. Then takes no further
  // connection, finishes what has begun, and returns the cause: never OK. If
  // requests took longer than the time to drain, DEADLINE_EXCEEDED instead. To
  // be called once, after Listen.
  //
  // Blocks, for ever where a client goes on to send a request byte by byte: no
  // context reaches into that. Where the process has no file descriptor left,
  // it sees its end once there is one.
  absl::Status Serve(const cohort::Context& context);

  // At any time, from any thread, also in a handler.
  void Stop(absl::Status cause);

  // Done once it is to end: for answers that are held back until then.
  const cohort::Context& ending() const { return serving_.context(); }

  Stats stats() const;

 private:
  class Connections;

  httplib::Server::Handler Wrap(Handler handler);

  const Options options_;
  httplib::Server http_;
  cohort::CancelScope serving_ = cohort::WithCancel(cohort::Context());
  // Lives on while what has begun is finished.
  cohort::CancelScope requests_ = cohort::WithCancel(cohort::Context());
  const Connections* connections_ = nullptr;  // while it serves
  std::atomic<int64_t> in_flight_ = 0;
  std::atomic<int64_t> answered_ = 0;
  std::atomic<int64_t> late_ = 0;
};

}  // namespace webserver

#endif  // WEBSERVER_SERVER_H_
