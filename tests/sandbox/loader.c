// Stands in the image for the interpreter of dynamic programs, and so runs in their place. It has no C library: that would
// take the other program's tables for its own.
static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

void _start(void) {
    // The mode is the one that it has: should it be possible, the machine is as it was. 90 is chmod, 30 is EROFS.
    int is_refused = call(90, (long)"/proc/self/exe", 0755, 0) == -30;
    call(1, 1, (long)(is_refused ? "refused\n" : "changed\n"), 8);
    call(60, 0, 0, 0);
}
