#include "CHDF5.h"
