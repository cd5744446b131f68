// Poison: tells AddressSanitizer which bytes of an arena nobody may touch; costs nothing without
// it.
#pragma once

#include <stdbool.h>

#if defined(__has_feature)
#define POISON_FEATURE(name) __has_feature(name)
#else
#define POISON_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || POISON_FEATURE(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define POISON(ptr, len) ASAN_POISON_MEMORY_REGION(ptr, len)
#define UNPOISON(ptr, len) ASAN_UNPOISON_MEMORY_REGION(ptr, len)
#define POISONED(ptr) (__asan_address_is_poisoned(ptr) != 0)
#define POISON_GAP 16 // forbidden bytes between two allocations
#define POISON_ON true
#else
#define POISON(ptr, len) ((void)(ptr), (void)(len))
#define UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#define POISONED(ptr) ((void)(ptr), false)
#define POISON_GAP 0
#define POISON_ON false
#endif
