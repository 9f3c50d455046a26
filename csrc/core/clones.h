// KNAS_CLONES compiles a function once per instruction set; the loader picks one by the processor. Sanitizers instrument the
// resolver before their runtime is up, so not with them. KNAS_INLINE is for what such functions call: inlined, it is compiled
// for the caller's instruction set.
#pragma once

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KNAS_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KNAS_CLONES
#endif
#define KNAS_INLINE inline __attribute__((always_inline))
