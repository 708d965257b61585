#include "cohort/context/context.h"

// The context would be over before it is used.
void Use() { cohort::WithCancel(cohort::Context()); }
