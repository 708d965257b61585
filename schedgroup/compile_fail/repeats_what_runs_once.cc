#include "cohort/schedgroup/group.h"

struct Once {
  void operator()() && {}
};

void Use() {
  cohort::schedgroup::Group group;
  group.Every(absl::Seconds(1), Once());
}
