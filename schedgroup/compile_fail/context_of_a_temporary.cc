#include "cohort/schedgroup/group.h"

void Use(const cohort::Context& context) {
  cohort::schedgroup::Group group(cohort::schedgroup::Group(context).context());
}
