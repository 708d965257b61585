#include "cohort/callbacks/callbacks.h"

void Use() { (void)cohort::callbacks::Race(cohort::Context()); }
