#include "webserver/server.h"

#include <sys/socket.h>

#include <functional>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cohort/context/context.h"
#include "cohort/executor/executor.h"
#include "cohort/sizedgroup/sized_group.h"
#include "httplib.h"

namespace webserver {
namespace {

constexpr char kHost[] = "127.0.0.1";

}  // namespace

using ::cohort::BlockingScope;
using ::cohort::CancelScope;
using ::cohort::Context;
using ::cohort::DoneCallback;
using ::cohort::WithCancel;
using ::cohort::WithoutCancel;
using ::cohort::WithTimeout;

// The thread in Serve calls all of this, and nobody else ends the listener: on
// another thread its number could be somebody else's by the time that this one
// listens to it.
class Server::Connections final : public httplib::TaskQueue {
 public:
  explicit Connections(Server& server)
      : server_(server), group_(server.options_.connections) {
    server_.connections_ = this;
  }

  // Whether connections wait for others to be closed.
  bool crowded() const { return group_.stats().queued != 0; }

  bool enqueue(std::function<void()> serve) override {
    group_.Go([serve = std::move(serve)] {
      const BlockingScope blocking;  // most of the time, for the client
      serve();
    });
    EndIfTold();
    return true;
  }

  void on_idle() override { EndIfTold(); }

  // After the end of the listener.
  void shutdown() override {
    const CancelScope drain =
        WithTimeout(Context(), server_.options_.drain,
                    absl::DeadlineExceededError("the time to drain is over"));
    const DoneCallback hurry = drain.context().OnDone(
        [&] { server_.requests_.Cancel(drain.context().cause()); });
    group_.Wait();
  }

 private:
  void EndIfTold() {
    if (server_.ending().done()) server_.http_.stop();
  }

  Server& server_;
  cohort::sizedgroup::SizedGroup group_;
};

Server::Server(Options options) : options_(std::move(options)) {
  http_.new_task_queue = [this] { return new Connections(*this); };
  http_.set_keep_alive_timeout(1);
  // What it takes to see the end.
  http_.set_idle_interval(0, 20'000);
  // The default shares a port that is taken with whoever has it.
  http_.set_socket_options([](socket_t socket) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  });
  http_.set_post_routing_handler(
      [this](const httplib::Request&, httplib::Response& response) {
        if (!ending().done() && !connections_->crowded()) return;
        response.headers.erase("Keep-Alive");
        response.set_header("Connection", "close");
      });
}

void Server::Get(const std::string& path, Handler handler) {
  http_.Get(path, Wrap(std::move(handler)));
}

void Server::Post(const std::string& path, Handler handler) {
  http_.Post(path, Wrap(std::move(handler)));
}

absl::StatusOr<int> Server::Listen(int port) {
  const int bound = port == 0 ? http_.bind_to_any_port(kHost)
                    : http_.bind_to_port(kHost, port) ? port
                                                      : -1;
  if (bound < 0) {
    return absl::UnavailableError(
        absl::StrCat(options_.name, ": cannot listen on port ", port));
  }
  return bound;
}

absl::Status Server::Serve(const Context& context) {
  const DoneCallback stop = context.OnDone([&] { Stop(context.cause()); });
  requests_ = WithCancel(WithoutCancel(context));
  const BlockingScope blocking;
  if (!http_.listen_after_bind()) {
    return absl::InternalError(absl::StrCat(options_.name, ": cannot listen"));
  }
  if (late_ != 0) {
    return absl::DeadlineExceededError(
        absl::StrCat(options_.name, ": late answers to ", late_.load()));
  }
  return serving_.context().cause();
}

void Server::Stop(absl::Status cause) { serving_.Cancel(std::move(cause)); }

Stats Server::stats() const {
  return {.in_flight = in_flight_, .answered = answered_, .late = late_};
}

httplib::Server::Handler Server::Wrap(Handler handler) {
  return [this, handler = std::move(handler)](const httplib::Request& request,
                                              httplib::Response& response) {
    ++in_flight_;
    const absl::Cleanup count = [this] {
      if (requests_.context().done()) ++late_;
      ++answered_;
      --in_flight_;
    };
    handler(requests_.context(), request, response);
  };
}

}  // namespace webserver
