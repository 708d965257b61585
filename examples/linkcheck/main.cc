// linkcheck [DIR]: finds broken relative links in the Markdown files below DIR.
// Exit status: 0 if there are none, else 1.

#include <iostream>
#include <thread>

#include "absl/status/status.h"
#include "cohort/context/context.h"
#include "linkcheck/check_links.h"

int main(int argc, char** argv) {
  const absl::Status status = linkcheck::CheckLinks(
      cohort::Context(), argc > 1 ? argv[1] : ".",
      static_cast<int>(std::thread::hardware_concurrency()));
  if (status.ok()) return 0;
  std::cerr << status.message() << '\n';
  return 1;
}
