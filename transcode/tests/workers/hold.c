/* Has the process that is named not go when it is killed: it is traced, and stops at its end for a tracer that
 * never lets it go on. That is as near as one comes to a process that hangs in a driver. When this program ends,
 * the process does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count != 2 || ptrace(PTRACE_SEIZE, atoi(arguments[1]), 0, PTRACE_O_TRACEEXIT)) {
        perror("ptrace");
        return 1;
    }
    puts("held");
    fflush(stdout);
    for (;;)
        pause();
}
