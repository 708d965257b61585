// Two servers and a signal handler in one group: whichever of them ends, all
// end, after what is in flight. Exit status: 0 if that was in time.

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cohort/channel/channel.h"
#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"
#include "httplib.h"
#include "signals/signal_catcher.h"
#include "webserver/server.h"

ABSL_FLAG(int, port, 8080, "of the site; 0 takes one that is free");
ABSL_FLAG(int, admin_port, 8081, "of /stats and /stop; 0 takes a free one");
ABSL_FLAG(int, connections, 64, "to the site, served at once");
ABSL_FLAG(absl::Duration, drain, absl::Seconds(5),
          "time for what is in flight at the end");
ABSL_FLAG(absl::Duration, grace, absl::Seconds(1),
          "time for the answers to what is told that this is over");

namespace webserver {
namespace {

using ::cohort::Context;

void Work(const Context& context, const httplib::Request& request,
          httplib::Response& response) {
  absl::Duration work;
  if (!absl::ParseDuration(request.get_param_value("for"), &work)) {
    response.status = httplib::BadRequest_400;
    return;
  }
  if (const absl::Status slept = context.SleepFor(work); !slept.ok()) {
    response.status = httplib::ServiceUnavailable_503;
    response.set_content(absl::StrCat(context.cause().message(), "\n"),
                         "text/plain");
    return;
  }
  response.set_content("done\n", "text/plain");
}

bool Listen(Server& server, const char* name, int port) {
  const absl::StatusOr<int> bound = server.Listen(port);
  if (!bound.ok()) {
    std::cerr << bound.status().message() << '\n';
    return false;
  }
  std::cout << name << " on port " << *bound << std::endl;
  return true;
}

int Main() {
  cohort::channel::Channel<int> caught(1);
  const signals::SignalCatcher catcher([&caught](int signal) {
    caught.TrySend(signal).IgnoreError();  // there is only one
  });

  const absl::Duration drain = absl::GetFlag(FLAGS_drain);
  Server site({.name = "site",
               .connections = absl::GetFlag(FLAGS_connections),
               .drain = drain});
  site.Get("/work", Work);
  site.Get("/farewell", [&site](const Context& context, const httplib::Request&,
                                httplib::Response& response) {
    site.ending().AwaitDone();
    const bool in_time = context.SleepFor(absl::Milliseconds(50)).ok();
    response.set_content(in_time ? "farewell\n" : "late\n", "text/plain");
  });
  Server admin({.name = "admin", .drain = drain});
  admin.Get("/stats", [&site](const Context&, const httplib::Request&,
                              httplib::Response& response) {
    const Stats stats = site.stats();
    response.set_content(absl::StrCat("in flight ", stats.in_flight,
                                      "\nanswered ", stats.answered, "\n"),
                         "text/plain");
  });
  admin.Post("/stop", [&admin](const Context&, const httplib::Request&,
                               httplib::Response& response) {
    response.set_content("stopping\n", "text/plain");
    admin.Stop(absl::CancelledError("somebody said stop"));
  });
  if (!Listen(site, "site", absl::GetFlag(FLAGS_port)) ||
      !Listen(admin, "admin", absl::GetFlag(FLAGS_admin_port))) {
    return EXIT_FAILURE;
  }

  cohort::errgroup::Group group(Context(), {.keep_all_errors = true});
  group.Go([&site](const Context& context) { return site.Serve(context); });
  group.Go([&admin](const Context& context) { return admin.Serve(context); });
  group.Go([&caught](const Context& context) {
    const absl::StatusOr<int> signal = caught.Receive(context);
    return signal.ok() ? absl::CancelledError(strsignal(*signal))
                       : signal.status();
  });

  group.context().AwaitDone();
  std::cout << "ending: " << group.context().cause().message() << std::endl;
  // A client that dawdles over its request is waited for in a system call, and
  // no context reaches into that.
  group.WaitUntil(absl::Now() + drain + absl::GetFlag(FLAGS_grace))
      .IgnoreError();
  if (group.stats().running != 0) {
    std::cerr << "some requests never came to an end" << std::endl;
    std::_Exit(EXIT_FAILURE);
  }
  int status = EXIT_SUCCESS;
  for (const cohort::TaskError& error : group.errors()) {
    if (absl::IsCancelled(error.status)) continue;  // as it was told to
    std::cerr << error.status.message() << '\n';
    status = EXIT_FAILURE;
  }
  std::cout << "answered " << site.stats().answered << '\n';
  return status;
}

}  // namespace
}  // namespace webserver

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return webserver::Main();
}
