#include "cohort/hunch/hunch.h"

void Use() { (void)cohort::hunch::Waterfall(cohort::Context()); }
