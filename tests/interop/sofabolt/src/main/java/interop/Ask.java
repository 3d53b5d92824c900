package interop;

import java.io.Serializable;
import java.util.Map;

/** A request: what to do, with which text, after how long; its header block travels beside it and is filled in by the server. */
public class Ask implements Serializable {
    private static final long serialVersionUID = 1L;

    public String what = "echo";
    public String text = "";
    public int delayMs;
    public transient Map<String, String> headers;
}
