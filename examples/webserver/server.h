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
  int64_t cut_short = 0;  // of those answered: later than Options::drain
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
  // it had to cut requests short, DEADLINE_EXCEEDED instead. To be called once,
  // after Listen.
  //
  // Blocks, for ever where a client goes on to send a request byte by byte: no
  // context reaches into that.
  absl::Status Serve(const cohort::Context& context);

  // At any time, from any thread, also in a handler.
  void Stop(absl::Status cause);

  Stats stats() const;

 private:
  class Connections;

  httplib::Server::Handler Wrap(Handler handler);
  bool ended() const { return serving_.context().done(); }

  const Options options_;
  httplib::Server http_;
  cohort::CancelScope serving_ = cohort::WithCancel(cohort::Context());
  // Lives on while what has begun is finished.
  cohort::CancelScope requests_ = cohort::WithCancel(cohort::Context());
  const Connections* connections_ = nullptr;  // while it serves
  std::atomic<int64_t> in_flight_ = 0;
  std::atomic<int64_t> answered_ = 0;
  std::atomic<int64_t> cut_short_ = 0;
};

}  // namespace webserver

#endif  // WEBSERVER_SERVER_H_
