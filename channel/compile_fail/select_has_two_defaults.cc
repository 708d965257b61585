#include "cohort/channel/select.h"

void Use() {
  (void)cohort::channel::Select(cohort::Context(),
                                cohort::channel::Otherwise([] {}),
                                cohort::channel::Otherwise([] {}));
}
